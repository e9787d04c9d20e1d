/** What the simulation drives: the real locks, from source, with rules taken away only where a mutant asks for it. */
import { hostname } from "node:os";
import type { Store } from "@bucketlock/core";
import type { Lease, LocksOptions } from "@bucketlock/lock";
import type { Rules as RecordRules } from "../../packages/lock/src/conditional/machine.js";
import { decode } from "../../packages/lock/src/conditional/record.js";
import type { ElectionRules } from "../../packages/lock/src/election-rule.js";
import { Locks } from "../../packages/lock/src/locks.js";
import type { OnceRules } from "../../packages/lock/src/once-rule.js";
import { settle } from "../../packages/lock/src/settings.js";
import { drawUlid, type Mutation as Removal } from "../../packages/lock/src/two-object/driver.js";
import { doorKey, parseOwnId, placeKey, ticketId } from "../../packages/lock/src/two-object/ticket.js";

export type { ElectionRules, Lease, OnceRules };
export { decode, doorKey, drawUlid, Locks, parseOwnId, placeKey, ticketId };

/** Rules to break. Empty: the code as it is. */
export interface Mutation extends Removal {
  readonly settings?: { readonly stepMs?: number; readonly marginMs?: number };
  readonly recordRules?: Partial<RecordRules>;
}

export function createLocksWith(store: Store, options: LocksOptions, mutation: Mutation = {}): Locks {
  const { settings: changed, ...removal } = mutation;
  return new Locks(store, { ...settle(options, store, hostname()), ...changed }, removal);
}

export const placeKeyOf = (lease: Lease): string => placeKey(lease.key, lease.ticketId);
