/**
 * The conformance suite of the store port: the exact meaning of `Store`, run against any implementation by any test runner
 * that has `describe` and `it`. Works only below the prefix it is given and leaves nothing there; never skips in silence.
 */
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../clock.js";
import type { Store } from "../../store.js";
import { conditionTests } from "./conditions.js";
import { deleteTests } from "./deletes.js";
import { keyTests } from "./keys.js";
import { limitTests } from "./limits.js";
import { listingTests } from "./listings.js";
import { objectTests } from "./objects.js";
import { type ConformanceTopic, Room } from "./room.js";

/** What the suite needs of a test runner: vitest, node:test, mocha and others have it. */
export interface ConformanceRunner {
  describe(name: string, body: () => void): unknown;
  readonly it: {
    (name: string, body: () => Promise<void>, timeoutMs?: number): unknown;
    skip(name: string, body: () => Promise<void>): unknown;
  };
  /** Reports a test left out, where the runner takes reasons. Default: `it.skip` with the reason in the title. */
  readonly skip?: ((name: string, reason: string) => unknown) | undefined;
}

export interface StoreUnderTest {
  readonly store: Store;
  /** The suite writes only keys that start with it. Nothing else may be there. */
  readonly prefix: string;
  /** Called after each test, whatever came of it. */
  readonly cleanup?: (() => Promise<void>) | undefined;
}

export interface StoreConformanceOptions {
  /** Names the suite in the report. */
  readonly name: string;
  /** Called for each test. May answer the same store every time. */
  readonly open: () => Promise<StoreUnderTest>;
  /** What this store or server cannot do, with the reason: those tests are reported as skipped, with it. */
  readonly skip?: Readonly<Partial<Record<ConformanceTopic, string>>> | undefined;
  /** Rounds of the tests for strong listings. Default 200. */
  readonly rounds?: number | undefined;
  /** Limit of one test, in ms; given to runners whose `it` takes it as third argument. Default 120 000. */
  readonly timeoutMs?: number | undefined;
  /** For the waits between timestamps. Default: the system's. */
  readonly clock?: Clock | undefined;
}

const PARTS = {
  objects: objectTests,
  keys: keyTests,
  listings: listingTests,
  conditions: conditionTests,
  deletes: deleteTests,
  limits: limitTests,
} as const;

/** Declares the suite with the runner. */
export function storeConformance(runner: ConformanceRunner, options: StoreConformanceOptions): void {
  const { describe, it } = runner;
  const leaveOut =
    runner.skip ?? ((name: string, reason: string) => it.skip(`${name} (skipped: ${reason})`, async () => {}));
  const { skip = {}, rounds = 200, timeoutMs = 120_000, clock = systemClock } = options;

  const inRoom = async (run: (room: Room) => Promise<void>): Promise<void> => {
    const { store, prefix, cleanup } = await options.open();
    try {
      const room = new Room(store, prefix, rounds, clock);
      assert.deepEqual(await room.list(), [], "the prefix must be empty before a test");
      agrees(store, skip);
      try {
        await run(room);
      } finally {
        await room.empty();
      }
    } finally {
      await cleanup?.();
    }
  };

  describe(`store conformance: ${options.name}`, () => {
    for (const [part, tests] of Object.entries(PARTS)) {
      describe(part, () => {
        for (const { title, topic, run } of tests) {
          const reason = topic && skip[topic];
          if (reason === undefined) it(title, () => inRoom(run), timeoutMs);
          else leaveOut(title, reason);
        }
      });
    }
  });
}

/** A store must not claim what its tests leave out, nor be tested for what it says it cannot do. */
function agrees(store: Store, skip: Readonly<Partial<Record<ConformanceTopic, string>>>): void {
  const claims = { "conditional-writes": store.features.conditionalWrites, versions: store.features.versions } as const;
  for (const [topic, claim] of Object.entries(claims)) {
    const skipped = skip[topic as keyof typeof claims] !== undefined;
    if (skipped) assert.notEqual(claim, "yes", `skips ${topic}, but the store says it can`);
    else assert.notEqual(claim, "no", `the store cannot do ${topic}: say so in \`skip\`, with the reason`);
  }
}
