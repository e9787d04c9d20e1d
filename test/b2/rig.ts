/** An emulator with a bucket and sessions on it, all gone after each test; and the proof that nothing still runs. */
import { type B2Event, type B2SessionOptions, openB2Session } from "@bucketlock/b2";
import { afterEach, expect } from "vitest";
import { B2Emulator, type B2EmulatorOptions } from "../emulators/b2/emulator.js";

export const BUCKET = "bucket-for-tests";

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

export async function useEmulator(options: B2EmulatorOptions = {}): Promise<B2Emulator> {
  const emulator = await B2Emulator.start(options);
  emulator.makeBucket(BUCKET);
  ends.push(async () => {
    await emulator.stop();
    expect(emulator.unknown, "requests that B2 does not have").toEqual([]);
  });
  return emulator;
}

export function useSession(emulator: B2Emulator, options: Partial<B2SessionOptions> = {}) {
  const events: B2Event[] = [];
  const session = openB2Session({
    endpoint: emulator.endpoint,
    bucket: BUCKET,
    credentials: { applicationKeyId: emulator.keyId, applicationKey: emulator.key },
    onEvent: (event) => events.push(event),
    ...options,
  });
  ends.push(() => session.close());
  return Object.assign(session, { events });
}

/** The calls that the emulator saw, in order. */
export const callsOf = (emulator: B2Emulator): string[] => emulator.seen.map(({ call }) => call.replace(/^b2_/, ""));

/** What a promise rejects with; an error if it does not. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`it went through: ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}
