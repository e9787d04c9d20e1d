/** The seeded simulation of both protocols, odd seeds (the even ones are a file of their own, so that two cores share them). */
import { expect, test } from "vitest";
import { changeOf, historiesOf, wantedSeed } from "./histories.js";
import { runHistory } from "./history.js";
import { PROTOCOLS } from "./plan.js";

const seed = wantedSeed();

for (const protocol of PROTOCOLS) {
  if (seed === undefined) historiesOf(protocol, "odd");
  else
    test(`${protocol}, seed ${seed}`, { timeout: 600_000 }, async () => {
      const { log, violations } = await runHistory(seed, { log: true, protocol, change: changeOf(seed) });
      console.log(log.join("\n"));
      expect(violations).toEqual([]);
    });
}
