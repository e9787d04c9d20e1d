/**
 * Who held what when, and what follows from it: the demo's records and the checks over them. Believes nothing but what the
 * processes told and when the demo itself killed one.
 */
import type { Told } from "./conversation.js";

export interface Span {
  readonly name: string;
  readonly state: "waits" | "exclusive" | "shared";
  readonly fromMs: number;
  /** Infinity while it lasts. */
  toMs: number;
}

export interface Counts {
  readonly acquisitions: number;
  readonly takeOvers: number;
  readonly longestWaitMs: number;
  /** All of an acquisition, its waiting included: the fewest, and the mean. */
  readonly requestsLeast: number;
  readonly requestsMean: number;
}

export class Chronicle {
  readonly spans: Span[] = [];
  readonly kills: { readonly name: string; readonly atMs: number; readonly ticketId: string | undefined }[] = [];
  /** Tickets that somebody removed because their owner was dead. */
  readonly victims = new Set<string>();
  /** Jobs that wrote their result. */
  jobsDone = 0;
  readonly #holds: Extract<Told, { is: "holds" }>[] = [];
  readonly #tickets = new Map<string, string>();

  add(name: string, told: Told): void {
    switch (told.is) {
      case "asks":
        this.spans.push({ name, state: "waits", fromMs: told.atMs, toMs: Number.POSITIVE_INFINITY });
        break;
      case "holds":
        this.#end(name, told.atMs);
        this.spans.push({ name, state: told.mode, fromMs: told.atMs, toMs: Number.POSITIVE_INFINITY });
        this.#holds.push(told);
        this.#tickets.set(name, told.ticketId);
        break;
      case "leaves":
        if (this.#end(name, told.atMs) === "exclusive") this.jobsDone++;
        break;
      case "lost":
        // At the release, after "leaves", nothing is open any more: what was written before counts.
        this.#end(name, told.atMs);
        break;
      case "tookOver":
        this.victims.add(told.victim);
    }
  }

  killed(name: string, atMs: number): void {
    this.#end(name, atMs);
    this.kills.push({ name, atMs, ticketId: this.#tickets.get(name) });
  }

  state(name: string): Span["state"] | undefined {
    return this.#open(name)?.state;
  }

  counts(): Counts {
    const requests = this.#holds.map((hold) => hold.requests);
    return {
      acquisitions: requests.length,
      takeOvers: this.victims.size,
      longestWaitMs: Math.max(...this.#holds.map((hold) => hold.waitedMs)),
      requestsLeast: Math.min(...requests),
      requestsMean: requests.reduce((sum, count) => sum + count, 0) / requests.length,
    };
  }

  /** Every pair that held at the same time although one of them was exclusive. */
  forbiddenOverlaps(): string[] {
    const held = this.spans.filter((span) => span.state !== "waits");
    return pairs(held)
      .filter(([a, b]) => (a.state === "exclusive" || b.state === "exclusive") && overlapMs(a, b) > 0)
      .map(([a, b]) => `${a.name} and ${b.name} held the lock at once for ${overlapMs(a, b).toFixed(1)} ms`);
  }

  /** How long the readers held together. */
  sharedOverlapMs(): number {
    const shared = this.spans.filter((span) => span.state === "shared");
    return pairs(shared).reduce((sum, [a, b]) => sum + (a.name === b.name ? 0 : overlapMs(a, b)), 0);
  }

  /** From the kill until another held; undefined: nobody did. */
  takenOverAfterMs(name: string): number | undefined {
    const kill = this.kills.find((one) => one.name === name);
    if (kill?.ticketId === undefined || !this.victims.has(kill.ticketId)) return undefined;
    const next = this.spans.find((span) => span.state === "exclusive" && span.fromMs > kill.atMs);
    return next && next.fromMs - kill.atMs;
  }

  #open(name: string): Span | undefined {
    return this.spans.findLast((span) => span.name === name && span.toMs === Number.POSITIVE_INFINITY);
  }

  #end(name: string, atMs: number): Span["state"] | undefined {
    const span = this.#open(name);
    if (span === undefined) return undefined;
    span.toMs = atMs;
    return span.state;
  }
}

function pairs(spans: readonly Span[]): [Span, Span][] {
  return spans.flatMap((a, index) => spans.slice(index + 1).map((b): [Span, Span] => [a, b]));
}

function overlapMs(a: Span, b: Span): number {
  return Math.max(0, Math.min(a.toMs, b.toMs) - Math.max(a.fromMs, b.fromMs));
}
