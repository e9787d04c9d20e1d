/**
 * What the fault proxy does to each request: pure decisions, from a script or from a seed, so that a run can be repeated.
 */

export type Fault =
  | { readonly kind: "pass" }
  /** Holds the request back, then forwards it, whether the client still waits or not: a write that lands late. */
  | { readonly kind: "delay"; readonly ms: number }
  /** Forwards at once and holds the answer back. */
  | { readonly kind: "delayAnswer"; readonly ms: number }
  /** Ends the client's connection; the server never sees the request. */
  | { readonly kind: "cutBefore" }
  /** The server has answered; the client's connection ends without a byte of it. */
  | { readonly kind: "cutAfter" }
  /** The client gets the head and half of the body, then the connection ends. */
  | { readonly kind: "cutWithin" }
  /** Ends the client's connection at once and forwards `afterMs` later: the client believes that nothing happened. */
  | { readonly kind: "ghost"; readonly afterMs: number }
  /** Answers as usual, and sends the same request again `afterMs` after that; the second answer is thrown away. */
  | { readonly kind: "duplicate"; readonly afterMs: number };

export type FaultKind = Fault["kind"];
export const faultKinds = [
  "pass",
  "delay",
  "delayAnswer",
  "cutBefore",
  "cutAfter",
  "cutWithin",
  "ghost",
  "duplicate",
] as const satisfies readonly FaultKind[];

export interface ProxiedRequest {
  /** 0 for the proxy's first request. */
  readonly n: number;
  readonly method: string;
  /** Path and query as the client sent them. */
  readonly path: string;
  /** As the client sent them, names and order included: name, value, name, value. */
  readonly rawHeaders: readonly string[];
}

export type Plan = (request: ProxiedRequest) => Fault;

export const pass: Plan = () => ({ kind: "pass" });

/** One fault for each request in turn; everything after the script passes. */
export function scripted(...faults: readonly Fault[]): Plan {
  let next = 0;
  return () => faults[next++] ?? { kind: "pass" };
}

export interface Rates {
  /** Probability of each fault, 0 to 1; together at most 1. What is left passes. */
  readonly rates: Partial<Record<Exclude<FaultKind, "pass">, number>>;
  /** The longest delay of a delayed, ghost or repeated request, in ms. Default 200. */
  readonly delayMaxMs?: number;
}

/** The same seed and the same sequence of requests give the same faults. */
export function seeded(seed: number, { rates, delayMaxMs = 200 }: Rates): Plan {
  const next = mulberry32(seed);
  return () => {
    // Always two draws a request, so that one fault's need for a delay does not shift all that follow.
    let dice = next();
    const ms = Math.floor(next() * delayMaxMs);
    for (const kind of faultKinds) {
      if (kind === "pass") continue;
      dice -= rates[kind] ?? 0;
      if (dice >= 0) continue;
      if (kind === "delay" || kind === "delayAnswer") return { kind, ms };
      if (kind === "ghost" || kind === "duplicate") return { kind, afterMs: ms };
      return { kind };
    }
    return { kind: "pass" };
  };
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
