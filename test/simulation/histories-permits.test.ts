/**
 * The seeded simulation of semaphores and of several locks at once, by both protocols: the same worlds, faults and checks as for
 * locks. BUCKETLOCK_PERMIT_HISTORIES sets how many of each; BUCKETLOCK_SEED runs one and prints its log.
 */
import { historiesOfKinds, type Kinds } from "./histories.js";

const count = Number(process.env.BUCKETLOCK_PERMIT_HISTORIES ?? 40);

const KINDS: Kinds = {
  "semaphores of 2": {
    change: { permits: 2, hosts: 4, keys: ["k"], rounds: 4, tokenRate: 0.5 },
    floors: { acquired: 3000, crash: 50 },
  },
  "semaphores on which not all agree": {
    change: { permits: 2, hosts: 4, keys: ["k"], rounds: 4, sharedRate: 0.5, dissentRate: 0.2 },
    floors: { acquired: 3000, mismatch: 100 },
  },
  "several locks at once": {
    change: { manyRate: 0.7, hosts: 4, keys: ["k", "jobs/other", "a"], rounds: 4 },
    floors: { acquired: 3000, many: 1000 },
  },
};

historiesOfKinds(KINDS, count);
