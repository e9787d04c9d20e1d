/**
 * Was what the demo claims true? Each claim with the fact that proves it. Checks only; the store is asked by the caller.
 */
import type { Chronicle } from "./chronicle.js";
import { type Played, readers, victim } from "./story.js";

export interface Claim {
  readonly claim: string;
  readonly holds: boolean;
  readonly fact: string;
}

export interface Findings {
  readonly chronicle: Chronicle;
  readonly played: Played;
  /** The number that every job read, held for a while and wrote back plus one. */
  readonly report: number;
  readonly leftovers: readonly string[];
}

export function judge({ chronicle, played, report, leftovers }: Findings): Claim[] {
  const overlaps = chronicle.forbiddenOverlaps();
  const shared = chronicle.sharedOverlapMs();
  const takenOver = chronicle.takenOverAfterMs(victim);
  return [
    {
      claim: "the job never ran twice at once, nor beside a reader",
      holds: overlaps.length === 0,
      fact: overlaps.length === 0 ? `${chronicle.counts().acquisitions} leases compared` : overlaps.join("; "),
    },
    {
      claim: "no run of the job was lost",
      holds: report === played.jobsOrdered && chronicle.jobsDone === played.jobsOrdered,
      fact: `${played.jobsOrdered} runs ordered, ${chronicle.jobsDone} done, and the unguarded count says ${report}`,
    },
    {
      claim: `${readers.join(" and ")} held the lock together`,
      holds: shared > 0,
      fact: `for ${seconds(shared)}`,
    },
    {
      claim: `the lock of the killed ${victim} was taken over`,
      holds: takenOver !== undefined,
      fact: takenOver === undefined ? "it was not" : `${seconds(takenOver)} after the kill`,
    },
    {
      claim: "nothing is left in the store",
      holds: leftovers.length === 0,
      fact: leftovers.length === 0 ? "its listing is empty" : leftovers.join(", "),
    },
  ];
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
