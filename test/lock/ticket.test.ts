/** Names and listings: what a lock key may be, and how a listing is read back. */
import type { ListedObject } from "@bucketlock/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bodyOf,
  compareOrder,
  doorKey,
  lockKey,
  markerKey,
  modeOfBody,
  modeOfEtag,
  parseOwnId,
  placeKey,
  readView,
  ticketId,
  unknownModes,
} from "../../packages/lock/src/two-object/ticket.js";

const ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const object = (key: string, lastModifiedMs = 1, etag?: string): ListedObject => ({
  key,
  lastModifiedMs,
  size: 1,
  etag,
});

describe("a lock key", () => {
  test.each([
    ["", /not empty/],
    [undefined, /string/],
    [7, /string/],
    ["a.lock.b", /must not contain '\.lock\.'/],
    ["a.lock", /nor end with '\.lock'/],
    ["x".repeat(1024), /at most 977 bytes/],
    ["é".repeat(500), /at most 977 bytes/],
    ["a/../b", /'\.' or '\.\.'/],
    ["./a", /'\.' or '\.\.'/],
    ["/a", /start with/],
    ["a//b", /\/\//],
    ["a\nb", /control/],
    ["a\ud800", /well-formed/],
  ])("%j is refused with the option, the rule and the value", (key, rule) => {
    expect(() => lockKey(key)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION", kind: "invalid", message: expect.stringMatching(rule) }),
    );
    expect(() => lockKey(key)).toThrow(/^key: /);
  });

  test.each(["a", "jobs/nightly", "ünï/cödé €", "a.locks", "lock.a", "x".repeat(977)])("%s is taken", (key) => {
    expect(lockKey(key)).toBe(key);
    expect(Buffer.byteLength(doorKey(key, ticketId(ULID, "exclusive", 86_400_000)))).toBeLessThanOrEqual(1024);
  });
});

describe("a ticket id", () => {
  test("says mode and lease", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("exclusive" as const, "shared" as const),
        fc.integer({ min: 300, max: 86_400_000 }),
        (mode, leaseMs) => {
          expect(parseOwnId(ticketId(ULID, mode, leaseMs))).toEqual({ ulid: ULID, mode, leaseMs });
        },
      ),
    );
  });

  test.each([
    "3f0c9d2ab1e74",
    `${ULID}.x.0`,
    `${ULID}.y.5`,
    `${ULID}.x`,
    `${ULID.toLowerCase()}.x.5`,
    "8ZZZZZZZZZZZZZZZZZZZZZZZZZ.x.5",
  ])("%s is foreign", (id) => expect(parseOwnId(id)).toBeUndefined());
});

describe("a listing", () => {
  const id = ticketId(ULID, "shared", 5000);

  test("becomes tickets, markers apart", () => {
    const view = readView(
      "k",
      [
        object(doorKey("k", id), 5),
        object(placeKey("k", id), 7),
        object(markerKey("k", 3n)),
        object(markerKey("k", 12n)),
      ],
      99,
      new Map(),
    );
    expect(view).toEqual({
      tickets: [{ id, mode: "shared", leaseMs: 5000, doorMs: 5, placeMs: 7 }],
      marker: 12n,
      serverTimeMs: 99,
    });
  });

  test.each(["record", "foo", "a-2", "a-b-1", "-1", "token.x", "token.0", "token.99999999999999999999"])(
    "%s under the prefix is a protocol mismatch that names the object",
    (rest) => {
      expect(() => readView("k", [object(`k.lock.${rest}`)], 1, new Map())).toThrow(
        expect.objectContaining({
          code: "PROTOCOL_MISMATCH",
          kind: "corrupt",
          message: expect.stringContaining(`k.lock.${rest}`),
        }),
      );
    },
  );

  test("the mode of a foreign ticket comes from the ETag, else it has to be asked", () => {
    const md5one = '"C4CA4238A0B923820DCC509A6F75849B"';
    expect(modeOfEtag(md5one)).toBe("exclusive");
    expect(modeOfEtag("cfcd208495d565ef66e7dff9f98764da")).toBe("shared");
    const kms = [object("k.lock.abc-0", 1, '"0123"'), object("k.lock.abc-1", 2, '"4567"')];
    expect([...unknownModes("k", kms, new Map())]).toEqual([["abc", "k.lock.abc-1"]]);
    expect([...unknownModes("k", kms, new Map([["abc", "shared" as const]]))]).toEqual([]);
    expect(readView("k", kms, 1, new Map([["abc", "shared" as const]])).tickets[0]?.mode).toBe("shared");
    // Unreadable: exclusive, which can only make us wait.
    expect(readView("k", kms, 1, new Map()).tickets[0]).toMatchObject({ mode: "exclusive", leaseMs: undefined });
    expect(modeOfBody("k.lock.abc-1", bodyOf("shared"))).toBe("shared");
    expect(() => modeOfBody("k.lock.abc-1", "<html>")).toThrow(/k\.lock\.abc-1/);
  });

  test("order is a total order by timestamp, then id", () => {
    const arbitrary = fc.record({ placeMs: fc.integer({ min: 0, max: 3 }), id: fc.constantFrom("a", "b", "c") });
    fc.assert(
      fc.property(arbitrary, arbitrary, arbitrary, (a, b, c) => {
        expect(Math.sign(compareOrder(a, b))).toBe(-Math.sign(compareOrder(b, a)) + 0);
        if (compareOrder(a, b) <= 0 && compareOrder(b, c) <= 0) expect(compareOrder(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
