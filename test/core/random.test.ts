/** The system's randomness comes from a pool: nothing may be handed out twice, whatever the sizes asked for. */
import { systemRandom } from "@bucketlock/core";
import { expect, test } from "vitest";

test("draws of mixed sizes never repeat, over many refills of the pool", () => {
  const seen = new Set<string>();
  for (let n = 0; n < 5_000; n++) {
    const value = systemRandom.hex([8, 16, 31][n % 3]!);
    expect(value).toMatch(/^(?:[0-9a-f]{2})+$/);
    seen.add(value.slice(0, 16));
  }
  expect(seen.size).toBe(5_000);
});

test("a draw larger than the pool has its full length", () => {
  expect(systemRandom.hex(1_000)).toHaveLength(2_000);
  expect(new Set(systemRandom.hex(1_000).match(/.{16}/g)).size).toBe(125);
});

test("fractions are from 0 to below 1, on both sides of the middle", () => {
  const values = Array.from({ length: 1_000 }, () => systemRandom.float());
  expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
  expect(values.some((value) => value < 0.5) && values.some((value) => value >= 0.5)).toBe(true);
});
