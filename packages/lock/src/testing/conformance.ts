/**
 * The conformance suite of locks: what every pair of protocol and store must do through the public API, run by any test
 * runner that has `describe` and `it`. Works only below the prefix it is given and leaves nothing there; never skips in
 * silence. Time comes from the clock it is given: the system's, or a manual one that `drive` moves.
 */
import assert from "node:assert/strict";
import { type Clock, type Store, systemClock } from "@bucketlock/core";
import type { ConformanceRunner } from "@bucketlock/core/testing";
import type { LocksOptions } from "../settings.js";
import { electionTests } from "./conformance/election.js";
import { latchTests } from "./conformance/latch.js";
import { leaseTests } from "./conformance/lease.js";
import { lineTests } from "./conformance/line.js";
import { membersTests } from "./conformance/members.js";
import { multiLockTests } from "./conformance/multi-lock.js";
import { onceTests } from "./conformance/once.js";
import { outsideTests } from "./conformance/outside.js";
import { revokeTests } from "./conformance/revoke.js";
import { type LockTopic, Room } from "./conformance/room.js";
import { semaphoreTests } from "./conformance/semaphore.js";

export interface LocksUnderTest {
  readonly store: Store;
  /** The suite writes only keys that start with it; nothing else may be there. Default: none, the whole store. */
  readonly prefix?: string | undefined;
  /** Over those of the suite: what only the opening knows, such as the report of a probe of this bucket. */
  readonly locksOptions?: LocksOptions | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
  /** Moves a clock that does not move by itself until the promise settles (`ManualClock.settle`). Default: just waits. */
  readonly drive?: (<T>(promise: Promise<T>) => Promise<T>) | undefined;
  /** Called after each test, whatever came of it. */
  readonly cleanup?: (() => Promise<void>) | undefined;
}

export interface LockConformanceOptions {
  /** Names the suite in the report. */
  readonly name: string;
  /** Called for each test. May answer the same store every time. */
  readonly open: () => LocksUnderTest | Promise<LocksUnderTest>;
  /** What the tests measure time by, in ms. Above the store's timestamp step and well above a request. Default 2000. */
  readonly leaseMs?: number | undefined;
  /** For every set of locks of the suite: the protocol, for example. */
  readonly locksOptions?: LocksOptions | undefined;
  /** The parts to run. Default: all. `latch` and `members` are the same by either protocol. */
  readonly parts?: readonly LockPart[] | undefined;
  /** What this protocol cannot do, with the reason: those tests are reported as skipped, with it. */
  readonly skip?: Readonly<Partial<Record<LockTopic, string>>> | undefined;
  /** Limit of one test, in ms; given to runners whose `it` takes it as third argument. Default: 60 leases, at least 30 s. */
  readonly timeoutMs?: number | undefined;
}

/** A test whose short lease was lost before it broke anything proves nothing, and is tried so often. */
const HELD_UP_MAX = 5;

const PARTS = {
  line: lineTests,
  lease: leaseTests,
  outside: outsideTests,
  semaphore: semaphoreTests,
  multiLock: multiLockTests,
  revoke: revokeTests,
  election: electionTests,
  once: onceTests,
  latch: latchTests,
  members: membersTests,
} as const;
export type LockPart = keyof typeof PARTS;

/** Declares the suite with the runner. */
export function lockConformance(runner: ConformanceRunner, options: LockConformanceOptions): void {
  const { describe, it } = runner;
  const { leaseMs = 2000, locksOptions = {}, skip = {} } = options;
  const timeoutMs = options.timeoutMs ?? Math.max(30_000, 60 * leaseMs);
  const leaveOut =
    runner.skip ?? ((name: string, reason: string) => it.skip(`${name} (skipped: ${reason})`, async () => {}));

  const inRoom = async (run: (room: Room) => Promise<void>): Promise<void> => {
    const opened = await options.open();
    const { store, prefix = "", clock = systemClock, drive = (promise) => promise, cleanup } = opened;
    const room = new Room(store, prefix, { ...locksOptions, ...opened.locksOptions }, clock, leaseMs);
    const once = async () => {
      assert.deepEqual(await room.left(), [], "the prefix must be empty before a test");
      try {
        await run(room);
      } finally {
        await room.empty();
      }
    };
    const test = async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await once();
        } catch (error) {
          if (!room.wasHeldUp() || tries === HELD_UP_MAX) throw error;
        }
      }
    };
    try {
      await drive(test());
    } finally {
      await cleanup?.();
    }
  };

  describe(`lock conformance: ${options.name}`, () => {
    for (const [part, tests] of Object.entries(PARTS)) {
      if (options.parts?.includes(part as LockPart) === false) continue;
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
