/**
 * One contender with the two-object protocol on the prefix of a record: its real machine, its two objects, its markers.
 * Alone in its own line, for its own kind is explored elsewhere; here only meeting the other protocol matters.
 *
 * A listing is no snapshot, but reads keys in their order: tickets, then `record`, then `token.<n>`.
 */
import {
  ALL_RULES,
  type Answer,
  giveUp,
  type Line,
  type Request,
  type State,
  type Step,
  start,
  step,
} from "../../packages/lock/src/two-object/machine.js";
import { ticketId } from "../../packages/lock/src/two-object/ticket.js";
import { LEASE_MS } from "./conditional-scene.js";

interface Local {
  readonly kind: "run" | "held" | "release" | "done" | "crashed";
  readonly ticket: number;
  readonly state: State | undefined;
  readonly request: Request | undefined;
  /** The lease has passed. */
  readonly lost: boolean;
  /** Its listing has begun; `sawRecord`: the record was there already. */
  readonly listing: boolean;
  readonly sawRecord: boolean;
  /** Highest marker of the deciding listing; its token, once drawn. */
  readonly base: number;
  readonly token: number;
  readonly refused: boolean;
}

const DOOR = 1;
const PLACE = 2;
const MARKER = 2;

const LINE: Line = {
  mode: "exclusive",
  visibilityTimeoutMs: 1000,
  settleMs: 0,
  pollMinMs: 20,
  pollMaxMs: 1000,
  deadlineMs: Number.POSITIVE_INFINITY,
  clockSkewMs: 10_000,
  stepMs: 1000,
  breakAfterMs: undefined,
  rules: ALL_RULES,
};

/** `objects`: door, place, then the highest marker. `token`: one was drawn. */
export type Go = (word: number, objects: number, trouble: boolean, token: number) => void;

export class Beside {
  readonly #locals: Local[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #tickets: number;

  constructor(tickets: number) {
    this.#tickets = tickets;
  }

  first(): number {
    return this.#settle(BLANK, start(0));
  }

  holds(word: number): boolean {
    const { kind, lost } = this.#locals[word]!;
    return kind === "held" && !lost;
  }

  finished(word: number): boolean {
    const { kind } = this.#locals[word]!;
    return kind === "done" || kind === "crashed";
  }

  tell(word: number, objects: number): string {
    const { kind, request, refused } = this.#locals[word]!;
    const what = kind === "run" ? `wants to ${request!.do}` : kind;
    return `${what}${refused ? " (refused)" : ""} [${(objects & DOOR) !== 0 ? "-0" : ""}${(objects & PLACE) !== 0 ? " -1" : ""} marker ${objects >> MARKER}]`;
  }

  expand(word: number, objects: number, record: boolean, go: Go): void {
    const local = this.#locals[word]!;
    if (local.kind === "done" || local.kind === "crashed") return;
    if (local.kind === "held") {
      if (local.token === 0 && !local.lost) {
        const token = local.base + 1;
        go(
          this.#number({ ...local, token }),
          (objects & 3) | (Math.max(token, objects >> MARKER) << MARKER),
          false,
          token,
        );
      }
      go(this.#number({ ...local, kind: "release" }), objects, false, 0);
    } else if (local.kind === "release" || local.request!.do === "withdraw") this.#deletes(local, objects, go);
    else this.#asks(local, objects, record, go);
    if (!local.lost && local.kind !== "release") go(this.#number({ ...local, lost: true }), objects, true, 0);
    go(this.#number({ ...BLANK, kind: "crashed", ticket: local.ticket }), objects, true, 0);
  }

  /** Two deletes, in either order. */
  #deletes(local: Local, objects: number, go: Go): void {
    for (const part of [DOOR, PLACE]) {
      if ((objects & part) === 0) continue;
      const left = objects & ~part;
      if ((left & (DOOR | PLACE)) !== 0) go(this.#number(local), left, false, 0);
      else go(this.#gone(local), left, false, 0);
    }
    if ((objects & (DOOR | PLACE)) === 0) go(this.#gone(local), objects, false, 0);
  }

  #gone(local: Local): number {
    if (local.kind === "release" || local.refused) {
      if (local.refused || local.ticket + 1 >= this.#tickets)
        return this.#number({ ...BLANK, kind: "done", refused: local.refused });
      return this.#settle({ ...BLANK, ticket: local.ticket + 1 }, start(0));
    }
    return this.#step(local, { of: "withdraw" });
  }

  #asks(local: Local, objects: number, record: boolean, go: Go): void {
    const { request } = local;
    if (request!.do === "putDoor")
      go(this.#step(local, { of: "putDoor", outcome: "stored" }), objects | DOOR, false, 0);
    else if (request!.do === "putPlace")
      go(this.#step(local, { of: "putPlace", outcome: "stored" }), objects | PLACE, false, 0);
    else if (!local.listing) go(this.#number({ ...local, listing: true, sawRecord: record }), objects, false, 0);
    else {
      for (const sees of local.sawRecord ? [true] : record ? [false, true] : [false]) {
        // The driver: a record under the prefix throws, and whatever is thrown ends in a withdrawal.
        if (sees)
          go(
            this.#settle({ ...local, refused: true }, giveUp(local.state!, "", { is: "contended", by: [] })),
            objects,
            false,
            0,
          );
        else go(this.#listed(local, objects), objects, false, 0);
      }
    }
  }

  #listed(local: Local, objects: number): number {
    const own = { id: local.state!.id, mode: LINE.mode, leaseMs: LEASE_MS };
    const doorMs = (objects & DOOR) !== 0 ? 1 : undefined;
    const placeMs = (objects & PLACE) !== 0 ? 1 : undefined;
    const marker = objects >> MARKER === 0 ? undefined : BigInt(objects >> MARKER);
    const view = { tickets: [{ ...own, doorMs, placeMs }], marker, serverTimeMs: undefined };
    return this.#step(local, { of: "list", view, sentAtMs: 0 });
  }

  #step(local: Local, answer: Answer): number {
    return this.#settle(local, step(LINE, local.state!, answer, { nowMs: 0, valid: !local.lost }));
  }

  #settle(local: Local, { state, request }: Step): number {
    const next = { ...local, listing: false, sawRecord: false };
    if (request.do === "sleep")
      return this.#settle(local, step(LINE, state, { of: "sleep" }, { nowMs: 0, valid: !local.lost }));
    if (request.do === "draw") {
      // A ticket of its own was withdrawn: enough of those are explored elsewhere.
      if (state.id !== "" || local.state !== undefined) return this.#number({ ...BLANK, kind: "done" });
      const id = ticketId(`01ARZ3NDEKTSV4RRFFQ69G5FT${local.ticket}`, LINE.mode, LEASE_MS);
      return this.#settle(local, step(LINE, state, { of: "draw", id }, { nowMs: 0, valid: true }));
    }
    if (request.do !== "verdict") return this.#number({ ...next, kind: "run", state, request });
    if (request.verdict.is !== "held") return this.#number({ ...BLANK, kind: "done" });
    const base = Number(request.verdict.marker ?? 0n);
    return this.#number({ ...next, kind: "held", state: undefined, request: undefined, base });
  }

  #number(local: Local): number {
    const key = JSON.stringify(local, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#locals.push(local) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

const BLANK: Local = {
  kind: "run",
  ticket: 0,
  state: undefined,
  request: undefined,
  lost: false,
  listing: false,
  sawRecord: false,
  base: 0,
  token: 0,
  refused: false,
};
