/** The seeded simulation of both protocols, even seeds (see histories-odd.test.ts). */
import { test } from "vitest";
import { historiesOf, wantedSeed } from "./histories.js";
import { PROTOCOLS } from "./plan.js";

// One seed asked for: the other file runs it.
if (wantedSeed() !== undefined) test.skip("one seed, in the other file", () => {});
else for (const protocol of PROTOCOLS) historiesOf(protocol, "even");
