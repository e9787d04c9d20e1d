/** An emulator of an appliance and a client on it, ended with the test that asked for them. */
import { inspect } from "node:util";
import { type Ds3Client, type Ds3ClientOptions, openDs3Client } from "@bucketlock/core/ds3";
import { afterEach, expect } from "vitest";
import { piecesOf } from "../../../packages/core/src/ds3/ds3-flow.js";
import type { HttpAnswer } from "../../../packages/core/src/request.js";
import { Ds3Emulator, type Ds3EmulatorOptions } from "../../emulators/ds3/emulator.js";

const running = new Set<Ds3Emulator>();
const open: Ds3Client[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
  for (const emulator of running) {
    // Every client is closed: a socket that is still there was leaked.
    await emulator.idle();
    expect(emulator.openSockets).toBe(0);
    await emulator.stop();
  }
  running.clear();
});

/** `bucket`: made before. */
export async function ready(
  options: Ds3EmulatorOptions = {},
  bucket?: string,
  clientOptions: Partial<Ds3ClientOptions> = {},
  given?: Ds3Emulator,
): Promise<{ emulator: Ds3Emulator; client: Ds3Client }> {
  const emulator = given ?? (await Ds3Emulator.start(options));
  running.add(emulator);
  const client = openDs3Client({
    endpoint: emulator.endpoint,
    ...emulator.keys,
    // No waiting between tries.
    random: { float: () => 0, hex: (bytes) => "0".repeat(bytes * 2) },
    ...clientOptions,
  });
  open.push(client);
  if (bucket !== undefined && given === undefined) await client.createBucket(bucket);
  return { emulator, client };
}

export async function collect<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(page);
  return all;
}

export async function textOf(answer: HttpAnswer | undefined): Promise<string> {
  const pieces = await collect(piecesOf(answer!));
  return Buffer.concat(pieces).toString();
}

/** The error, checked to show no secret. */
export async function failure(work: Promise<unknown>, emulator: Ds3Emulator): Promise<Error & { code: string }> {
  const error = await work.then(
    (value) => expect.unreachable(`expected a failure, got ${inspect(value)}`),
    (reason: unknown) => reason as Error & { code: string },
  );
  const shown = `${inspect(error, { depth: 12, showHidden: true })} ${JSON.stringify(error)}`;
  expect(shown).not.toContain(emulator.keys.secretKey);
  expect(shown).not.toMatch(/AWS [A-Z0-9]+:/);
  return error as Error & { code: string };
}
