/** Where keys come from when they are asked for: when, how often, and how it is said that there are none. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import type { S3Credentials } from "@bucketlock/core";
import { ManualClock } from "@bucketlock/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../packages/core/src/clock.js";
import { type ChainParts, credentialsOf } from "../../../packages/core/src/credential-chain.js";
import { CredentialSource } from "../../../packages/core/src/credentials.js";
import { openS3Session } from "../../../packages/core/src/index.js";
import { processCredentials } from "../../../packages/core/src/process-credentials.js";
import type { CredentialPlan } from "../../../packages/core/src/s3-settings.js";

const SECRET = "hunter2/hunter2";
const keys = (accessKeyId: string, expiresMs?: number): S3Credentials => ({
  accessKeyId,
  secretAccessKey: SECRET,
  ...(expiresMs === undefined ? {} : { expiration: new Date(expiresMs) }),
});

/** A provider whose answers are given by hand. */
function scripted() {
  const waiting: { resolve: (keys: S3Credentials) => void; reject: (error: unknown) => void }[] = [];
  let asked = 0;
  const provider = () => {
    asked++;
    return new Promise<S3Credentials>((resolve, reject) => waiting.push({ resolve, reject }));
  };
  return {
    source: new CredentialSource(provider),
    asked: () => asked,
    answer: (answer: S3Credentials) => waiting.shift()!.resolve(answer),
    fail: (error: unknown) => waiting.shift()!.reject(error),
  };
}
const id = async (asked: Promise<{ accessKeyId: string }>) => (await asked).accessKeyId;

describe("a provider", () => {
  it("is asked once for all who wait, and not again before its answer is about to expire", async () => {
    const { source, asked, answer } = scripted();
    const three = [source.resolve(0), source.resolve(0), source.resolve(0)].map(id);
    answer(keys("A", 1_000_000));
    expect(await Promise.all(three)).toEqual(["A", "A", "A"]);
    expect(await id(source.resolve(939_999))).toBe("A");
    expect(asked()).toBe(1);
    // A minute before.
    const two = [source.resolve(940_000), source.resolve(940_000)].map(id);
    answer(keys("B", 2_000_000));
    expect(await Promise.all(two)).toEqual(["B", "B"]);
    expect(asked()).toBe(2);
  });

  it("is never asked again where its answer does not expire", async () => {
    const { source, asked, answer } = scripted();
    const first = id(source.resolve(0));
    answer(keys("A"));
    expect(await first).toBe("A");
    expect(await id(source.resolve(Number.MAX_SAFE_INTEGER))).toBe("A");
    expect(asked()).toBe(1);
  });

  it("is asked again after the server refused its answer", async () => {
    const { source, asked, answer } = scripted();
    const first = id(source.resolve(0));
    answer(keys("A"));
    await first;
    source.forget();
    const second = id(source.resolve(0));
    answer(keys("B"));
    expect(await second).toBe("B");
    expect(asked()).toBe(2);
  });

  it("may fail while its last answer is still good; after that its failure is the caller's", async () => {
    const { source, asked, answer, fail } = scripted();
    const first = id(source.resolve(0));
    answer(keys("A", 1_000_000));
    await first;
    const early = id(source.resolve(950_000));
    fail(new Error("not now"));
    expect(await early).toBe("A");
    const late = source.resolve(1_000_000);
    fail(new Error("not now"));
    await expect(late).rejects.toMatchObject({ code: "STORE_BAD_CREDENTIALS", cause: { message: "not now" } });
    expect(asked()).toBe(3);
    // A failure is not kept.
    const again = id(source.resolve(1_000_000));
    answer(keys("B"));
    expect(await again).toBe("B");
  });

  it("that answers no keys is refused without what it answered", async () => {
    for (const wrong of [
      { accessKeyId: "A", secretAccessKey: "two words" },
      { accessKeyId: "A" },
      { secretAccessKey: SECRET },
    ]) {
      const { source, answer } = scripted();
      const asked = source.resolve(0);
      answer(wrong as S3Credentials);
      const error = await asked.catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "INVALID_OPTION" });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/hunter2|two words/);
    }
  });
});

describe("credential_process", () => {
  const node = JSON.stringify(process.execPath);
  const said = (answer: unknown) =>
    `${node} -e 'process.stdout.write(${JSON.stringify(typeof answer === "string" ? answer : JSON.stringify(answer))})'`;
  const ask = (command: string) => processCredentials(command, "work", { env: process.env, clock: systemClock })();
  const failing = async (command: string) => {
    const error = (await ask(command).then(
      () => expect.unreachable("gave keys"),
      (reason: unknown) => reason,
    )) as Error & { code: string };
    expect(error.code).toBe("STORE_BAD_CREDENTIALS");
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/hunter2/);
    return error.message;
  };
  const answer = { Version: 1, AccessKeyId: "A", SecretAccessKey: SECRET };

  it("gives keys, a token, and when they expire", async () => {
    expect(await ask(said(answer))).toEqual({ accessKeyId: "A", secretAccessKey: SECRET });
    const full = await ask(said({ ...answer, SessionToken: "t", Expiration: "2026-11-21T12:00:00Z" }));
    expect(full).toMatchObject({ accessKeyId: "A", sessionToken: "t" });
    expect(full.expiration?.getTime()).toBe(Date.UTC(2026, 10, 21, 12));
    const source = new CredentialSource(() => Promise.resolve(full));
    await source.resolve(0);
    expect(source.current(full.expiration!.getTime() - 1)).toBeDefined();
    expect(source.current(full.expiration!.getTime())).toBeUndefined();
  });

  it("is no shell: only quotes mean something", async () => {
    const script = `console.log(JSON.stringify({Version:1,AccessKeyId:"A",SecretAccessKey:Buffer.from(process.argv.slice(1).join("|")).toString("hex")}))`;
    const { secretAccessKey } = await ask(
      `${node} -e '${script}' -- a "b c" ';' $(touch x) "$HOME" > y && z | w \`v\` *`,
    );
    expect(Buffer.from(secretAccessKey, "hex").toString()).toBe(
      ["a", "b c", ";", "$(touch", "x)", "$HOME", ">", "y", "&&", "z", "|", "w", "`v`", "*"].join("|"),
    );
  });

  it.each([
    [`${node} -e 'process.exit(3)'`, "ended with status 3"],
    [`${node} -e 'console.error("${SECRET}"); process.exit(1)'`, "ended with status 1"],
    ["/no/such/program --token hunter2", "could not be run (ENOENT)"],
    [said("hunter2, no JSON"), "no JSON"],
    [said("null"), "Version 1"],
    [said({ ...answer, Version: 2 }), "Version 1"],
    [said({ Version: 1, AccessKeyId: "A" }), "SecretAccessKey"],
    [said({ ...answer, Expiration: "soon" }), "Expiration"],
    [`${node} -e 'process.stdout.write("hunter2".repeat(200000))'`, "could not be run"],
    ["'unpaired", "quotes"],
    ["  ", "names no program"],
  ])("that goes wrong says why without what it printed: %#", async (command, why) => {
    const message = await failing(command);
    expect(message).toContain('profile "work"');
    expect(message).toContain(why);
  });

  it("is ended with the session that asked for it", async () => {
    const ask = processCredentials(`${node} -e 'setInterval(() => {}, 1000)'`, "work", {
      env: process.env,
      clock: systemClock,
    });
    const session = openS3Session({ region: "us-east-1", bucket: "jobs", credentials: ask });
    const presigned = session.presigned("getObject", { key: "k" });
    presigned.catch(() => {});
    const children = () => process.getActiveResourcesInfo().filter((name) => name === "ProcessWrap").length;
    const before = children();
    while (children() === before) await new Promise((resolve) => setImmediate(resolve));
    await session.close();
    await expect(presigned).rejects.toThrowError("the session was closed");
    while (children() > before) await new Promise((resolve) => setImmediate(resolve));
  });

  it("is ended when it takes too long", async () => {
    const clock = new ManualClock();
    const asked = processCredentials(`${node} -e 'setInterval(() => {}, 1000)'`, "work", { env: process.env, clock })();
    asked.catch(() => {});
    for (let i = 0; i < 100 && clock.pending === 0; i++) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(60_000);
    await expect(asked).rejects.toThrowError("longer than 60000 ms");
  });
});

describe("the surroundings", () => {
  const parts = (more: Partial<ChainParts> = {}): ChainParts => ({
    env: {},
    clock: systemClock,
    region: "us-east-1",
    files: [{ path: "/no/config" }, { path: "/no/credentials" }],
    ...more,
  });
  const ask = (plan: CredentialPlan, more?: Partial<ChainParts>) => {
    const asked = credentialsOf(plan, parts(more));
    return typeof asked === "function" ? asked() : Promise.resolve(asked);
  };
  const looked = ["the options", "the environment"];
  const missing = () =>
    Promise.reject(Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" }));

  const servers: ReturnType<typeof createServer>[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
  async function serve(answer: (url: string) => unknown) {
    const seen: { url: string; authorization: string | undefined }[] = [];
    const server = createServer((req, res) => {
      seen.push({ url: req.url!, authorization: req.headers.authorization });
      req.resume();
      const made = answer(`${req.method} ${req.url}`);
      res.writeHead(made === undefined ? 404 : 200).end(typeof made === "string" ? made : JSON.stringify(made));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
  }

  it("keys at hand need no package", async () => {
    expect(await ask({ from: "keys", credentials: keys("A") }, { load: missing })).toMatchObject({ accessKeyId: "A" });
    const provider = () => Promise.resolve(keys("B"));
    expect(credentialsOf({ from: "options", credentials: provider }, parts())).toBe(provider);
  });

  it("nothing anywhere is said with every place", async () => {
    await expect(ask({ from: "nowhere", looked })).rejects.toMatchObject({
      code: "STORE_NO_CREDENTIALS",
      kind: "denied",
      message: "no credentials in the options, the environment",
    });
  });

  it.each<[CredentialPlan, string]>([
    [{ from: "profile", profile: "work", looked }, "role or sign-on of profile work"],
    [{ from: "web identity" }, "the web identity"],
    [{ from: "container" }, "the container"],
    [
      { from: "instance", profile: "default", looked },
      "no credentials in the options, the environment; to ask the metadata of an instance",
    ],
  ])("a missing package is asked for by name: %j", async (plan, words) => {
    const error = await ask(plan, { load: missing }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "STORE_NO_CREDENTIALS", cause: { code: "ERR_MODULE_NOT_FOUND" } });
    expect((error as Error).message).toContain(words);
    expect((error as Error).message).toContain("@aws-sdk/credential-providers");
  });

  it("is asked for again after the package was missing, and loaded once when it is there", async () => {
    let loads = 0;
    const load = async () => {
      if (++loads === 1) return missing();
      return { fromTokenFile: () => async () => keys("A") };
    };
    const provider = credentialsOf({ from: "web identity" }, parts({ load })) as () => Promise<S3Credentials>;
    await expect(provider()).rejects.toMatchObject({ code: "STORE_NO_CREDENTIALS" });
    expect(await provider()).toMatchObject({ accessKeyId: "A" });
    expect(await provider()).toMatchObject({ accessKeyId: "A" });
    expect(loads).toBe(2);
  });

  const answered = { AccessKeyId: "A", SecretAccessKey: SECRET, Token: "t", Expiration: "2099-01-01T00:00:00Z" };

  it("a container's address is asked, with its token, by the real package", async () => {
    const { url, seen } = await serve((asked) => (asked === "GET /keys" ? answered : undefined));
    const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/keys`, AWS_CONTAINER_AUTHORIZATION_TOKEN: "pod-token" };
    const found = await ask({ from: "container" }, { env });
    expect(found).toMatchObject({ accessKeyId: "A", secretAccessKey: SECRET, sessionToken: "t" });
    expect(found.expiration?.getTime()).toBe(Date.UTC(2099, 0));
    expect(seen).toEqual([{ url: "/keys", authorization: "pod-token" }]);
  });

  it("an instance's metadata is asked by the real package; where it does not answer, there are no credentials", async () => {
    const path = "/latest/meta-data/iam/security-credentials/";
    const imds = await serve((asked) => {
      if (asked === "PUT /latest/api/token") return "imds-token";
      if (asked === `GET ${path}`) return "a-role";
      return asked === `GET ${path}a-role` ? { Code: "Success", ...answered } : undefined;
    });
    const empty = await serve(() => undefined);
    const plan: CredentialPlan = { from: "instance", profile: "default", looked };
    const before = process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT;
    try {
      process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = imds.url;
      expect(await ask(plan)).toMatchObject({ accessKeyId: "A", sessionToken: "t" });
      process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = empty.url;
      await expect(ask(plan)).rejects.toMatchObject({
        code: "STORE_NO_CREDENTIALS",
        message: "no credentials in the options, the environment; the instance's metadata did not answer",
      });
    } finally {
      if (before === undefined) delete process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT;
      else process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = before;
    }
  });

  it("a role of a profile is taken by the real package, with the keys of its source profile", async () => {
    const asked: string[] = [];
    const sts = await serve((call) => {
      asked.push(call);
      return `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
        <AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>${SECRET}</SecretAccessKey><SessionToken>t</SessionToken>
        <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`;
    });
    const home = mkdtempSync(join(tmpdir(), "bucketlock-role-"));
    const before = process.env.AWS_ENDPOINT_URL_STS;
    try {
      const [config, credentials] = [join(home, "config"), join(home, "credentials")];
      writeFileSync(config, "[profile work]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n");
      writeFileSync(credentials, "[base]\naws_access_key_id = BASE\naws_secret_access_key = base-secret\n");
      process.env.AWS_ENDPOINT_URL_STS = sts.url;
      const plan: CredentialPlan = { from: "profile", profile: "work", looked };
      const found = await ask(plan, { files: [{ path: config }, { path: credentials }] });
      expect(found).toMatchObject({ accessKeyId: "ROLE", secretAccessKey: SECRET, sessionToken: "t" });
      expect(asked).toEqual(["POST /"]);
      expect(sts.seen[0]!.authorization).toMatch(/Credential=BASE\/\d+\/us-east-1\/sts\//);
    } finally {
      if (before === undefined) delete process.env.AWS_ENDPOINT_URL_STS;
      else process.env.AWS_ENDPOINT_URL_STS = before;
      rmSync(home, { recursive: true });
    }
  });

  it("a refusal of the package is ours to tell, with its own as the cause", async () => {
    const load = async () => ({
      fromIni: (options: object) => async () => {
        throw Object.assign(new Error("the sign-on has expired"), { options });
      },
    });
    const error = await ask({ from: "profile", profile: "work", looked }, { load }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "STORE_BAD_CREDENTIALS",
      message: "no credentials from the role or sign-on of profile work",
      cause: {
        message: "the sign-on has expired",
        options: { profile: "work", configFilepath: "/no/config", filepath: "/no/credentials" },
      },
    });
  });
});
