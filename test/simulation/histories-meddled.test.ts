/**
 * The seeded simulation of what is done to locks from outside, by both protocols: locks that are closed while their programs wait,
 * hold and draw tokens; tickets that a person breaks, alive or not; wall clocks that are set by hours. BUCKETLOCK_MEDDLED_HISTORIES
 * sets how many of each; BUCKETLOCK_SEED runs one and prints its log.
 */
import { historiesOfKinds, type Kinds } from "./histories.js";

const count = Number(process.env.BUCKETLOCK_MEDDLED_HISTORIES ?? 25);

const KINDS: Kinds = {
  "closed at any time": {
    change: { closeRate: 0.5, locals: 4, tokenRate: 0.7 },
    floors: { acquired: 3000, closedEarly: 500, closedMeanwhile: 500, local: 500 },
  },
  "broken by a person": {
    change: { breaks: 6, locals: 2, tokenRate: 1, keys: ["k"] },
    floors: { acquired: 3000, broken: 3000, token: 3000 },
  },
  "clocks set by hours": {
    change: { upsets: 10, jumpMs: 14_400_000, crashes: false, locals: 2, tokenRate: 0.5 },
    floors: { acquired: 3000, jump: 500 },
  },
};

historiesOfKinds(KINDS, count);
