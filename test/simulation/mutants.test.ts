/**
 * Rules taken away: the simulation must notice, within a known number of seeds, and the code as it is must pass the same
 * seeds. A simulation that never finds anything proves nothing. Each mutant has a world in which its rule is needed often.
 */
import { describe, expect, it } from "vitest";
import { runHistories } from "./histories.js";
import { runHistory } from "./history.js";
import { type Plan, PROTOCOLS } from "./plan.js";
import type { Mutation } from "./under-test.js";

interface Mutant {
  readonly name: string;
  /** Default: two-object. */
  readonly protocol?: Plan["protocol"];
  readonly mutation: Mutation;
  readonly change: Partial<Plan>;
  /** What the first violation says. */
  readonly found: RegExp;
  readonly withinSeeds: number;
}

/** One key, one short lease, and nothing but what the mutant needs. */
const QUIET: Partial<Plan> = {
  keys: ["k"],
  leases: [1000],
  hosts: 3,
  rounds: 6,
  faultsEndMs: 15_000,
  faultRate: 0,
  upsets: 0,
  stallRate: 0,
  strays: 0,
  latencyMs: 5,
  sharedRate: 0,
  crashes: false,
};

/** Rules of the acquires within one process: the protocol does not matter to them. */
const LOCAL: readonly Omit<Mutant, "protocol">[] = [
  {
    name: "one token for all who pass a ticket on",
    mutation: { localRules: { ownToken: false } },
    change: { ...QUIET, locals: 4, tokenRate: 1 },
    found: /token/,
    withinSeeds: 10,
  },
  {
    name: "a ticket passed on that can no longer be proved",
    mutation: { localRules: { onlyValid: false } },
    change: { ...QUIET, locals: 6, upsets: 10, localMs: 20_000, localTurns: 100, looks: false },
    found: /when it was over/,
    withinSeeds: 100,
  },
  {
    name: "readers that overtake a writer of their process",
    mutation: { localRules: { inOrder: false } },
    change: { ...QUIET, locals: 6, sharedRate: 0.7, localMs: 20_000 },
    found: /turns: .*served after/,
    withinSeeds: 10,
  },
  {
    name: "tickets passed on without end",
    mutation: { localRules: { bounded: false } },
    change: { ...QUIET, locals: 8 },
    found: /turns: .*passed on/,
    withinSeeds: 10,
  },
];

const MUTANTS: readonly Mutant[] = [
  {
    name: "a renewal's answer believed after the lease ended",
    mutation: { validityRules: { believeLateRenewal: true } },
    change: { ...QUIET, stallRate: 0.3 },
    found: /overlap|believes again/,
    withinSeeds: 200,
  },
  {
    name: "a renewing ticket dead by LIST, without the timestamp's step",
    mutation: { settings: { stepMs: 0 }, rules: { renewingDieByCount: false } },
    change: { ...QUIET, stepMs: 1000, headStepMs: 1000, nodesMs: [0], strays: 12 },
    found: /overlap/,
    withinSeeds: 200,
  },
  {
    name: "a claim believed although the ticket was not kept alive",
    mutation: { rules: { validAtClaim: false }, localRules: { onlyValid: false } },
    change: { ...QUIET, hosts: 4, latencyMs: 30, upsets: 10, faultRate: 0.02 },
    found: /when it was over|LISTING|did not show in the listing/,
    withinSeeds: 60,
  },
  {
    name: "a lease believed to its very end, without margin",
    mutation: { settings: { marginMs: 0 } },
    change: { ...QUIET, leases: [5000], hosts: 4, upsets: 8, faultsEndMs: 60_000, setsBack: true, drift: 0.02 },
    found: /overlap/,
    withinSeeds: 400,
  },
  {
    name: "a waiting ticket not kept alive",
    mutation: { keepWaiting: false },
    change: QUIET,
    found: /not kept alive/,
    withinSeeds: 10,
  },
  {
    name: "no listing at the doorway",
    mutation: { rules: { doorwayList: false } },
    change: { ...QUIET, hosts: 4 },
    found: /overlap/,
    withinSeeds: 60,
  },
  {
    name: "no withdrawal behind one that was complete",
    mutation: { rules: { withdrawal: false } },
    change: { ...QUIET, hosts: 4, stepMs: 1, nodesMs: [-500, 0, 500], clockSkewMs: 2500 },
    found: /overlap/,
    withinSeeds: 60,
  },
  {
    name: "choosing tickets ignored",
    mutation: { rules: { waitForChoosing: false } },
    change: { ...QUIET, hosts: 4, stepMs: 1, nodesMs: [-500, 0, 500], clockSkewMs: 2500, latencyMs: 15 },
    found: /overlap/,
    withinSeeds: 200,
  },
  {
    name: "no tie-break by id",
    mutation: { rules: { idTieBreak: false } },
    change: { ...QUIET, hosts: 4, stepMs: 1000, nodesMs: [0], latencyMs: 15 },
    found: /overlap/,
    withinSeeds: 100,
  },
  ...PROTOCOLS.flatMap((protocol) => LOCAL.map((mutant): Mutant => ({ ...mutant, protocol }))),
  ...(
    [
      {
        name: "a token for another lease by the same ticket that is not counted in the record",
        mutation: { recordRules: { drawnInRecord: false } },
        change: { ...QUIET, locals: 4 },
        found: /token/,
        withinSeeds: 10,
      },
      {
        name: "the dead judged by the reader's wall clock",
        mutation: { recordRules: { storeClock: false } },
        change: QUIET,
        found: /lost in a calm world|overlap/,
        withinSeeds: 20,
      },
      {
        name: "a lease believed to its very end, without margin",
        mutation: { settings: { marginMs: 0 } },
        change: { ...QUIET, leases: [5000], hosts: 4, upsets: 8, faultsEndMs: 60_000, setsBack: true, drift: 0.02 },
        found: /overlap/,
        withinSeeds: 400,
      },
      {
        name: "an unknown outcome taken for a success",
        mutation: { recordRules: { unknown: "stored" } },
        change: { ...QUIET, faultRate: 0.1 },
        found: /overlap|token/,
        withinSeeds: 100,
      },
      {
        name: "a renewal without If-Match",
        mutation: { recordRules: { renewUnderIfMatch: false } },
        change: { ...QUIET, hosts: 4 },
        found: /overlap|token|left/,
        withinSeeds: 100,
      },
      {
        name: "what another granted believed without a claim",
        mutation: { recordRules: { claimGranted: false } },
        change: { ...QUIET, leases: [20_000], hosts: 4, latencyMs: 30, upsets: 8, faultsEndMs: 60_000 },
        found: /overlap/,
        withinSeeds: 60,
      },
      {
        name: "a record begun anew by the release",
        mutation: { recordRules: { keepToken: false } },
        change: QUIET,
        found: /token/,
        withinSeeds: 10,
      },
      {
        name: "a claim that came when its lease was over",
        // Within the process it would be looked at once more.
        mutation: { recordRules: { validAtClaim: false }, localRules: { onlyValid: false } },
        change: { ...QUIET, hosts: 4, latencyMs: 30, upsets: 10, faultRate: 0.02 },
        found: /when it was over|overlap/,
        withinSeeds: 60,
      },
    ] as const
  ).map((mutant): Mutant => ({ ...mutant, protocol: "conditional", change: { ...mutant.change, tokenRate: 1 } })),
];

describe("a rule taken away is noticed", () => {
  for (const { name, protocol = "two-object", mutation, change, found, withinSeeds } of MUTANTS) {
    it(`${protocol}: ${name}`, { timeout: 600_000 }, async () => {
      let at = 1;
      let violation: string | undefined;
      for (; at <= withinSeeds && violation === undefined; at++)
        violation = (await runHistory(at, { protocol, mutation, change })).violations.find((one) => found.test(one));
      console.log(
        `mutant of ${protocol} '${name}': ${violation === undefined ? "not found" : `seed ${at - 1}: ${violation}`}`,
      );
      expect(violation).toMatch(found);
      // The same seeds, and as many more as show that this is the rule's doing.
      const sound = await runHistories(1, Math.max(at - 1, 10), 1, { protocol, change });
      expect(sound.broken.map(({ seed, violations }) => `${seed}: ${violations[0]}`)).toEqual([]);
    });
  }
});
