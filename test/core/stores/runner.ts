/** Vitest for the published conformance suites: what is left out is reported with its reason. */
import type { ConformanceRunner } from "@bucketlock/core/testing";
import { describe, it } from "vitest";

export const runner: ConformanceRunner = {
  describe,
  it,
  skip: (title, reason) => it(title, (context) => context.skip(reason)),
};
