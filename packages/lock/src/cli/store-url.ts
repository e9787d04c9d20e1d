/**
 * Opens the store that a URL names, for the command line. `b2:` is another package, loaded only when it is named: from beside
 * this one, or from the user's own project. Never prints a URL: it may hold what should not be there.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { BucketlockError, InvalidError, openStore, type Store } from "@bucketlock/core";

const B2 = "@bucketlock/b2";

export async function openStoreByUrl(url: string | undefined): Promise<Store> {
  if (url === undefined) {
    throw new BucketlockError(
      "no store is given: by --store, BUCKETLOCK_STORE or `store:` in bucketlock.yaml, such as s3://bucket/locks or file:/var/lib/locks?create=1",
      { code: "USAGE", kind: "invalid" },
    );
  }
  if (!/^(s3|b2|file|memory):/i.test(url)) {
    const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0];
    throw new InvalidError("url", "must begin with s3:, b2:, file: or memory:", scheme ?? "a text without a scheme");
  }
  if (!/^b2:/i.test(url)) return openStore(url);
  const { openB2Store } = await loadB2();
  return openB2Store(url);
}

/** Undefined: it is not installed. */
export async function findB2(): Promise<{ openB2Store(url: string): Store } | undefined> {
  try {
    return await import(B2);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
  }
  try {
    // An `npx` of this package does not see what the project in the working directory has installed.
    const found = createRequire(join(process.cwd(), "package.json")).resolve(B2);
    return await import(pathToFileURL(found).href);
  } catch {
    return undefined;
  }
}

async function loadB2(): Promise<{ openB2Store(url: string): Store }> {
  const b2 = await findB2();
  if (b2 !== undefined) return b2;
  throw new BucketlockError(`the package ${B2} is not installed, and b2: stores need it: npm install ${B2}`, {
    code: "B2_NOT_INSTALLED",
    kind: "invalid",
  });
}
