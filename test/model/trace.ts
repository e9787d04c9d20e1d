/**
 * Names the steps of the explored world and writes them as lines a person can follow. Changes nothing.
 */
import type { Ground } from "./ground.js";
import { name } from "./ground.js";
import { HELD } from "./machine-table.js";

/** Steps, as traces name them. Those of the adversary come last: nobody's finishing may depend on them. */
export const STEPS = [
  "PUT -0",
  "PUT -1",
  "begins LIST",
  "LIST",
  "HEAD",
  "DELETE -1 of",
  "DELETE -0 of",
  "releases",
  "HEADs both of",
  "is silent for a lease after its crash",
  "finds its -1 gone",
  "expires",
  "crashes",
  "PUT -1, answer lost",
  "PUT -1 under way, answer lost",
  "late PUT -1 lands",
  "late PUT -0 lands",
  "gives up",
  "gives up, PUT -1 under way",
  "a person starts to break",
  "comes to resume",
] as const;
export const FIRST_OF_ADVERSARY = 11;

/** For traces: what the step just taken was, and the store after it. */
export function tell(world: Ground, step: number, actor: number, detail: number): string {
  const store: string[] = [];
  for (let slot = 0; slot < world.slots; slot++) {
    const there = world.object(world.next, slot);
    if (there === 0) continue;
    const parts = [(there & 1) !== 0 ? "-0" : "", there >> 1 !== 0 ? `-1@${(there >> 1) - 1}` : ""];
    store.push(`${world.slotName(slot)} ${parts.filter((part) => part !== "").join(" ")}`);
  }
  return `${what(world, step, actor, detail).padEnd(58)} store: ${store.join(", ") || "empty"}`;
}

function what(world: Ground, step: number, actor: number, detail: number): string {
  const text = STEPS[step]!;
  if (step === 3) {
    const view: string[] = [];
    for (let slot = 0; slot < world.slots; slot++) {
      const code = (detail >> (4 * slot)) & 15;
      const door = ["", "-0", "dead -0"][code % 3]!;
      const place = code < 3 ? "" : `-1@${Math.floor(code / 3) - 1}`;
      if (code !== 0) view.push(`${world.slotName(slot)} ${[door, place].filter((part) => part !== "").join(" ")}`);
    }
    return `${name(actor)} LIST sees ${view.join(", ") || "nothing"}${becomes(world, actor)}`;
  }
  if (step === 15 || step === 16 || step === 19)
    return `${text}${step === 19 ? "" : " for"} ${world.slotName(actor)}${step === 15 ? ` at ${detail}` : ""}`;
  if (step === 4) return `${name(actor)} HEAD: ${["gone", "there", "dead"][detail]}${becomes(world, actor)}`;
  if (step === 1 || step === 13) return `${name(actor)} ${text} at ${detail}`;
  return `${actor < 0 ? "a person" : name(actor)} ${text} ${world.slotName(detail)}`;
}

function becomes(world: Ground, actor: number): string {
  const { kind, request } = world.local(world.next, actor);
  if (kind === HELD) return ": holds";
  if (request?.do === "withdraw") return `: withdraws (${request.why})`;
  return request?.do === "takeOver" ? ": takes over" : "";
}
