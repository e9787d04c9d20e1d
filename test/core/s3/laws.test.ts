/** The pure parts: waits, and the estimate of the server's clock. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs, DEFAULT_BACKOFF, nextWaitMs, retryAfterMs } from "../../../packages/core/src/backoff.js";
import { parseInstantMs } from "../../../packages/core/src/clock.js";
import { ServerClock } from "../../../packages/core/src/server-clock.js";

describe("backoff", () => {
  it("lies between nothing and a bound that doubles up to the cap", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        (tries, chance) => {
          const ms = backoffMs(tries, chance);
          expect(ms).toBeGreaterThanOrEqual(0);
          expect(ms).toBeLessThanOrEqual(Math.min(DEFAULT_BACKOFF.capMs, DEFAULT_BACKOFF.baseMs * 2 ** (tries - 1)));
        },
      ),
    );
    expect([1, 2, 3].map((tries) => backoffMs(tries, 0.5))).toEqual([25, 50, 100]);
  });
  it("waits at least as long as the server says, and not at all beyond the limit", () => {
    const facts = { tries: 1, chance: 0.5 };
    expect(nextWaitMs({ ...facts, remainingMs: 5000, retryAfterMs: 2000 })).toBe(2025);
    expect(nextWaitMs({ ...facts, remainingMs: 2025, retryAfterMs: 2000 })).toBeUndefined();
    expect(nextWaitMs({ ...facts, remainingMs: 26 })).toBe(25);
    expect(nextWaitMs({ ...facts, remainingMs: 25 })).toBeUndefined();
  });
  it("reads Retry-After in seconds and as a date", () => {
    const at = Date.UTC(2026, 0, 1);
    expect(retryAfterMs("3", undefined, parseInstantMs)).toBe(3000);
    expect(retryAfterMs("Thu, 01 Jan 2026 00:00:02 GMT", at, parseInstantMs)).toBe(2000);
    expect(retryAfterMs("Thu, 01 Jan 2026 00:00:02 GMT", at + 5000, parseInstantMs)).toBeUndefined();
    for (const value of [undefined, "soon", "-1", "1e9"])
      expect(retryAfterMs(value, at, parseInstantMs)).toBeUndefined();
  });
});

describe("ServerClock", () => {
  const at = (wallMs: number, monotonicMs = wallMs) => ({ wallMs, monotonicMs });

  it("knows nothing before the first answer", () => expect(new ServerClock().estimate(at(0))).toBeUndefined());

  it("always holds the true difference, and gets closer", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1_000_000, max: 1_000_000 }),
        fc.array(fc.record({ gap: fc.integer({ min: 1, max: 5000 }), there: fc.nat(300), back: fc.nat(300) }), {
          minLength: 1,
          maxLength: 40,
        }),
        (trueOffset, answers) => {
          const clock = new ServerClock();
          let now = 5_000_000;
          let first: number | undefined;
          for (const { gap, there, back } of answers) {
            now += gap;
            const dateMs = Math.floor((now + there + trueOffset) / 1000) * 1000;
            clock.observe(dateMs, at(now), at(now + there + back));
            now += there + back;
            const got = clock.estimate(at(now))!;
            expect(Math.abs(got.offsetMs - trueOffset)).toBeLessThanOrEqual(got.uncertaintyMs + 0.001);
            first ??= got.uncertaintyMs;
          }
          expect(clock.estimate(at(now))!.uncertaintyMs).toBeLessThanOrEqual(first! + 40 * 5600 * 200e-6);
        },
      ),
    );
  });

  it("forgets when the host's clock is set or the machine slept", () => {
    const clock = new ServerClock();
    clock.observe(1_000_000, at(1_000_000), at(1_000_010));
    expect(clock.estimate(at(1_001_000))).toBeDefined();
    expect(clock.estimate({ wallMs: 1_100_000, monotonicMs: 1_001_000 })).toBeUndefined();
    clock.observe(1_000_000, at(1_000_000), { wallMs: 1_090_000, monotonicMs: 1_000_010 });
    expect(clock.estimate({ wallMs: 1_090_000, monotonicMs: 1_000_010 })).toBeUndefined();
  });

  it("believes the latest answer when two contradict", () => {
    const clock = new ServerClock();
    clock.observe(1_000_000, at(1_000_000), at(1_000_010));
    clock.observe(2_000_000, at(1_001_000), at(1_001_010));
    expect(clock.estimate(at(1_001_010))!.offsetMs).toBeGreaterThan(990_000);
  });
});
