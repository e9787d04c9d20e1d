/** An emulator and a session on it, ended with the test that asked for them. */
import { inspect } from "node:util";
import { afterEach, expect } from "vitest";
import { openS3Session, type S3Session, type S3SessionOptions } from "../../../packages/core/src/index.js";
import { type EmulatorOptions, S3Emulator } from "../../emulators/s3/emulator.js";

const running: S3Emulator[] = [];
const open: S3Session[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((session) => session.close()));
  for (const emulator of running.splice(0)) {
    // Every session is closed: a socket that is still there was leaked.
    await emulator.idle();
    expect(emulator.openSockets).toBe(0);
    await emulator.stop();
  }
});

export async function startEmulator(options?: EmulatorOptions): Promise<S3Emulator> {
  const emulator = await S3Emulator.start(options);
  running.push(emulator);
  return emulator;
}

export function openSession(emulator: S3Emulator, options: Partial<S3SessionOptions> = {}): S3Session {
  const session = openS3Session({
    endpoint: emulator.endpoint,
    region: emulator.region,
    bucket: emulator.bucket,
    credentials: emulator.keys,
    // No waiting between tries.
    random: { float: () => 0, hex: (bytes) => "0".repeat(bytes * 2) },
    ...options,
  });
  open.push(session);
  return session;
}

export async function setup(
  emulatorOptions?: EmulatorOptions,
  sessionOptions?: Partial<S3SessionOptions>,
): Promise<{ emulator: S3Emulator; session: S3Session }> {
  const emulator = await startEmulator(emulatorOptions);
  return { emulator, session: openSession(emulator, sessionOptions) };
}

/** The error, checked to show no secret in any form a log would take. */
export async function failure(
  work: Promise<unknown>,
  emulator: S3Emulator,
): Promise<Error & { code: string; kind: string }> {
  const error = await work.then(
    (value) => {
      throw new Error(`expected a failure, got ${inspect(value)}`);
    },
    (reason: unknown) => reason as Error & { code: string; kind: string },
  );
  expectNoSecret(error, emulator);
  return error;
}

export function expectNoSecret(value: unknown, emulator: S3Emulator): void {
  const shown = `${inspect(value, { depth: 12, showHidden: true })} ${JSON.stringify(value)} ${String(value)}`;
  expect(shown).not.toContain(emulator.keys.secretAccessKey);
  expect(shown).not.toMatch(/X-Amz-Signature|X-Amz-Credential|Signature=|AWS4-HMAC/i);
}

export async function collect<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(page);
  return all;
}
