/**
 * Keys from a program that the profile names (`credential_process`). It is started without a shell: quotes group words as in
 * a shell, nothing else means anything, so `;`, `$(...)` and `|` are only text. What it prints is never shown, on either
 * stream: it may be a secret. Source: "Process credential provider", AWS SDKs and Tools reference guide.
 */
import { type Clock, parseInstantMs } from "./clock.js";
import type { S3Credentials, S3CredentialsProvider } from "./credentials.js";
import { StoreError, show } from "./errors.js";
import { PROVIDERS_ENDS } from "./identity.js";
import type { Environment } from "./s3-settings.js";

// Programs that ask a person for a code take their time.
const LIMIT_MS = 60_000;
const ANSWER_MAX_BYTES = 1024 * 1024;

/**
 * Each call starts the program. Throws StoreError STORE_BAD_CREDENTIALS. A program that hangs would keep this process alive for
 * as long as it may take: it is ended with its session.
 */
export function processCredentials(
  command: string,
  profile: string,
  parts: { readonly env: Environment; readonly clock: Clock },
): S3CredentialsProvider {
  const running = new Set<AbortController>();
  const ask = async (): Promise<S3Credentials> => {
    const { split } = await import("shlex");
    let words: readonly string[];
    try {
      words = split(command);
    } catch {
      throw failed(profile, "its quotes do not pair");
    }
    const [program, ...args] = words;
    if (program === undefined) throw failed(profile, "it names no program");
    const ending = new AbortController();
    running.add(ending);
    try {
      return credentialsIn(await output(program, args, profile, parts, ending), profile);
    } finally {
      running.delete(ending);
    }
  };
  PROVIDERS_ENDS.set(ask, () => {
    for (const ending of running) ending.abort("closed");
  });
  return ask;
}

async function output(
  program: string,
  args: readonly string[],
  profile: string,
  { env, clock }: { readonly env: Environment; readonly clock: Clock },
  ending: AbortController,
): Promise<string> {
  const { execFile } = process.getBuiltinModule("node:child_process");
  const stop = clock.after(LIMIT_MS, () => ending.abort());
  try {
    return await new Promise<string>((resolve, reject) => {
      const settings = { env, signal: ending.signal, killSignal: "SIGKILL", maxBuffer: ANSWER_MAX_BYTES } as const;
      const child = execFile(program, args, { ...settings, windowsHide: true }, (error, stdout) => {
        if (error === null) return resolve(stdout);
        const why = ending.signal.aborted
          ? ending.signal.reason === "closed"
            ? "the session was closed"
            : `it took longer than ${LIMIT_MS} ms`
          : typeof error.code === "number"
            ? `it ended with status ${error.code}`
            : `it could not be run (${error.code ?? error.signal})`;
        reject(failed(profile, `${why}: ${show(program)}`));
      });
      // It has nothing to read: who waits for input waits for ever.
      child.stdin?.end();
    });
  } finally {
    stop();
  }
}

function credentialsIn(text: string, profile: string): S3Credentials {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    throw failed(profile, "its answer is no JSON");
  }
  const { Version, AccessKeyId, SecretAccessKey, SessionToken, Expiration } = (said ?? {}) as Record<string, unknown>;
  if (Version !== 1) throw failed(profile, "its answer is not of Version 1");
  if (typeof AccessKeyId !== "string" || typeof SecretAccessKey !== "string")
    throw failed(profile, "its answer lacks AccessKeyId or SecretAccessKey");
  const expiresMs = typeof Expiration === "string" ? parseInstantMs(Expiration) : undefined;
  if (Expiration !== undefined && Expiration !== null && expiresMs === undefined)
    throw failed(profile, "its Expiration is no date");
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    ...(typeof SessionToken === "string" && SessionToken !== "" ? { sessionToken: SessionToken } : {}),
    ...(expiresMs === undefined ? {} : { expiration: { getTime: () => expiresMs } }),
  };
}

function failed(profile: string, why: string): StoreError {
  return new StoreError(`credential_process of profile ${show(profile)} gave no credentials: ${why}`, {
    code: "STORE_BAD_CREDENTIALS",
    kind: "denied",
    details: { profile },
  });
}
