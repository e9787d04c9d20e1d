/**
 * The real machine of the conditional protocol as a table: every state it is in is numbered once, and each answer is asked once.
 * Sleeps and draws are answered at once, since nobody else can see them. Decides nothing the machine does not decide.
 *
 * Forgetting keeps the states few without losing one that matters, each for a reason that can be read in machine.ts:
 * - ETags are unique to each write, so one that is not the record's now never is again: `now` and `old` are all there is;
 * - a write under an old ETag conflicts whatever it holds, and the next read replaces what a contender knew;
 * - time: what a contender sent is fresh or a lease old; who else may be seen dead is the world's choice at every read, and
 *   nothing of earlier looks is kept. So `watched` only lives from the read to the scan that may follow it;
 * - the count of renewals is a mark for watchers only.
 */
import {
  ALL_RULES,
  type Answer,
  giveUp,
  type Line,
  type Request,
  resume,
  type State,
  type Step,
  type Stored,
  start,
  startLeave,
  startRenewal,
  step,
} from "../../packages/lock/src/conditional/machine.js";
import {
  type Content,
  decode,
  EMPTY,
  encode,
  entryOf,
  type LockRecord,
} from "../../packages/lock/src/conditional/record.js";
import { idOf, LEASE_MS, type RecordScene } from "./conditional-scene.js";

export interface Local {
  readonly kind: "run" | "held" | "done" | "crashed";
  readonly contender: number;
  readonly ticket: number;
  readonly id: string;
  /** While it runs. */
  readonly state: State | undefined;
  readonly request: Request | undefined;
  /** Of a held ticket, through its renewals too. */
  readonly token: bigint | undefined;
  /** It claimed by a write that was a lease old: only a machine without that rule does it, and it believes to hold. */
  readonly late: boolean;
  /** Of a held ticket: the record as its process remembers it. */
  readonly cached: Stored | undefined;
}

/** Where a step leads; `memory`: what a shared memory of the record becomes, unless it stays. */
export interface Next {
  readonly local: number;
  readonly memory: Stored | undefined | "stays";
}

const NOW_MS = 1_000_000;
const OLD_MS = NOW_MS - LEASE_MS;
const FACTS = { nowMs: NOW_MS, steadyMs: NOW_MS, serverNowMs: undefined };

export class RecordTable {
  readonly locals: Local[] = [];
  readonly records: (LockRecord | undefined)[] = [undefined];
  /** The first record that the real decoder refused. */
  corrupt: string | undefined;
  readonly #numbers = new Map<string, number>();
  readonly #recordNumbers = new Map<string, number>();
  readonly #memo = new Map<string, Next>();
  readonly #lines: { readonly patient: Line; readonly overdue: Line }[];
  readonly #forgets: boolean;

  constructor(readonly scene: RecordScene) {
    const rules = { ...ALL_RULES, ...scene.rules };
    // Without these rules an old record is still of use.
    this.#forgets =
      rules.unknown === "read back" && rules.renewUnderIfMatch && !scene.contentEtags && !scene.oneProcess;
    this.#lines = scene.modes.map((mode, contender) => {
      const overdue: Line = {
        mode,
        permits: scene.permits?.[contender],
        label: "l",
        leaseMs: LEASE_MS,
        marginMs: 3_000,
        clockSkewMs: 10_000,
        pollMinMs: 20,
        pollMaxMs: 1_000,
        deadlineMs: 0,
        rules,
      };
      const tries = scene.tries?.includes(contender) === true;
      return { overdue, patient: tries ? overdue : { ...overdue, deadlineMs: Number.POSITIVE_INFINITY } };
    });
  }

  /** As the store has it. */
  record(content: Content, writeId: string): number {
    const record: LockRecord = { ...this.#plain(content), writeId: this.scene.contentEtags === true ? "-" : writeId };
    const text = encode(record);
    let number = this.#recordNumbers.get(text);
    if (number === undefined) {
      number = this.records.push(record) - 1;
      this.#recordNumbers.set(text, number);
      try {
        decode("k.lock.record", text);
      } catch (error) {
        this.corrupt ??= String(error);
      }
    }
    return number;
  }

  etag(record: number): string {
    return this.scene.contentEtags === true ? `#${record}` : "now";
  }

  start(contender: number): number {
    return this.#settle(contender, 0, start(NOW_MS, undefined), undefined).local;
  }

  end(kind: "done" | "crashed", contender: number, ticket: number): number {
    return this.#number({ ...this.#blank(contender, ticket), kind });
  }

  read(local: number, record: number, dead: readonly string[], overdue: boolean): Next {
    return this.#ask(local, `r${record} ${dead.join()} ${overdue}`, (state, one) => {
      const line = this.#line(one, overdue);
      const found = this.#found(one.request!, record);
      const answer: Answer = { of: "read", found, serverTimeMs: undefined, sentAtMs: NOW_MS };
      // The machine's own marks, as if seen a lease ago: those of the living were seen only now.
      const marks = step(line, { ...state, watched: {} }, answer, { ...FACTS, nowMs: OLD_MS }).state.watched;
      const watched = Object.fromEntries(Object.entries(marks).filter(([id]) => dead.includes(id)));
      return step(line, { ...state, watched }, answer, FACTS);
    });
  }

  scan(local: number, stranger: boolean, marker: bigint): Next {
    return this.#ask(local, `s${stranger} ${marker}`, (state, one) =>
      step(this.#line(one), state, { of: "scan", stranger: stranger ? "k.lock.T-0" : undefined, marker }, FACTS),
    );
  }

  /** `landed`: the record is this write's now. `late`: the answer came when a lease had passed. */
  wrote(
    local: number,
    outcome: "stored" | "conflict" | "unknown",
    landed: boolean,
    writeId: string,
    late: boolean,
    etag: string,
  ): Next {
    return this.#ask(local, `w${outcome} ${landed} ${writeId} ${late} ${etag}`, (state, one) => {
      const before = landed ? this.#aged(state, writeId, false) : state;
      const id = this.scene.contentEtags === true ? "-" : writeId;
      const answer: Answer = { of: "write", outcome, writeId: id, sentAtMs: late ? OLD_MS : NOW_MS };
      return step(this.#line(one), before, outcome === "stored" ? { ...answer, etag } : answer, FACTS);
    });
  }

  giveUp(local: number): Next {
    return this.#ask(local, "giveUp", (state) => {
      const { state: next, request } = giveUp(state, { is: "contended", by: [] });
      return { state: { ...next, purpose: "leave" }, request };
    });
  }

  /** From held: a renewal begins, the drawing of a token for who holds next by the ticket, a release, or the ticket is found again. */
  begin(local: number, what: "renew" | "draw" | "leave" | "resume", memory: Stored | undefined): Next {
    const key = `${local} ${what} ${memory === undefined ? "" : this.#storedKey(memory)}`;
    return this.#once(key, () => {
      const one = this.locals[local]!;
      const line = this.#line(one);
      const cached = this.scene.oneProcess === true ? memory : one.cached;
      const from = what === "resume" ? undefined : one;
      const first =
        what === "leave"
          ? startLeave(line, one.id, cached, true, this.scene.asksFirst)
          : what === "resume"
            ? resume(one.id, NOW_MS)
            : startRenewal(line, one.id, FACTS, cached, what);
      return this.#settle(one.contender, one.ticket, first, first.state.stored, from, memory);
    });
  }

  /** A renewal that was not answered: its machine is dropped, the next begins from what is remembered. */
  breakOff(local: number): number {
    const one = this.locals[local]!;
    return this.#number({ ...one, kind: "held", state: undefined, request: undefined, cached: one.state!.stored });
  }

  /** A write landed: what was the record's ETag is an old one now. */
  stale(local: number, writeId: string): number {
    if (this.scene.contentEtags === true) return local;
    return this.#once(`${local} stale ${writeId}`, () => {
      const one = this.locals[local]!;
      const state = one.state === undefined ? undefined : this.#aged(one.state, writeId, this.#forgets);
      const { request } = one;
      const aged =
        request?.do === "write"
          ? { ...request, ...state!.writing! }
          : request?.do === "read"
            ? { ...request, etag: old(request.etag) }
            : request;
      return { local: this.#number({ ...one, state, request: aged, cached: this.#agedCache(one) }), memory: "stays" };
    }).local;
  }

  /** A lease passes since everything it sent so far. */
  expire(local: number): number {
    return this.#once(`${local} expire`, () => {
      const one = this.locals[local]!;
      const unclear = one.state?.unclear.map((write) => ({ ...write, sentAtMs: OLD_MS }));
      const state = one.state === undefined ? undefined : { ...one.state, unclear: unclear! };
      return { local: this.#number({ ...one, state }), memory: "stays" };
    }).local;
  }

  #ask(local: number, code: string, ask: (state: State, one: Local) => Step): Next {
    return this.#once(`${local} ${code}`, () => {
      const one = this.locals[local]!;
      return this.#settle(one.contender, one.ticket, ask(one.state!, one), one.state!.stored, one);
    });
  }

  #once(key: string, make: () => Next): Next {
    let next = this.#memo.get(key);
    if (next === undefined) {
      next = make();
      this.#memo.set(key, next);
    }
    return next;
  }

  #line(one: Pick<Local, "contender">, overdue = false): Line {
    const { overdue: over, patient } = this.#lines[one.contender]!;
    return overdue ? over : patient;
  }

  #found(request: Request, record: number): Stored | "same" | "absent" {
    if (record === 0) return "absent";
    const etag = this.etag(record);
    if (request.do === "read" && request.etag === etag) return "same";
    return { record: this.records[record]!, etag, lastModifiedMs: undefined };
  }

  /** Answers what nobody else can see, until the machine wants something of the store; then what its verdict means. */
  #settle(
    contender: number,
    ticket: number,
    first: Step,
    known: Stored | undefined,
    from?: Local,
    shared?: Stored,
  ): Next {
    let { state, request } = first;
    const line = this.#line({ contender });
    for (;;) {
      const memory = state.stored === known ? "stays" : state.stored;
      if (request.do === "sleep") ({ state, request } = step(line, state, { of: "sleep" }, FACTS));
      else if (request.do === "draw") {
        if (state.id !== "") ticket++;
        if (ticket >= this.scene.tickets) return { local: this.end("done", contender, ticket - 1), memory };
        ({ state, request } = step(line, state, { of: "draw", id: idOf(this.scene, contender, ticket) }, FACTS));
      } else if (request.do === "verdict") {
        const { verdict } = request;
        const base = { ...this.#blank(contender, ticket), token: from?.token, late: from?.late ?? false };
        if (verdict.is === "held") {
          const late = verdict.sentAtMs === OLD_MS;
          const held: Local = { ...base, kind: "held", token: verdict.token, late, cached: this.#cache(state.stored) };
          return { local: this.#number(held), memory };
        }
        if (verdict.is === "renewed") {
          const token = entryOf(verdict.stored.record, state.id)!.token;
          return { local: this.#number({ ...base, kind: "held", token, cached: this.#cache(state.stored) }), memory };
        }
        if (verdict.is === "gone") {
          ({ state, request } = startLeave(line, state.id, state.stored, true));
          continue;
        }
        if (verdict.is === "mismatch" || ticket + 1 >= this.scene.tickets)
          return { local: this.end("done", contender, ticket), memory };
        ticket++;
        ({ state, request } = start(NOW_MS, this.scene.oneProcess === true ? (shared ?? state.stored) : state.stored));
      } else {
        const plain = this.#normal(state);
        const wanted: Request =
          request.do === "write" ? { ...request, content: this.#plain(request.content) } : request;
        const held = state.purpose === "renew" || state.purpose === "draw" ? from : undefined;
        const run: Local = {
          ...this.#blank(contender, ticket),
          kind: "run",
          state: plain,
          request: wanted,
          token: held?.token,
          late: held?.late ?? false,
        };
        return { local: this.#number(run), memory };
      }
    }
  }

  #cache(stored: Stored | undefined): Stored | undefined {
    return this.scene.oneProcess === true || stored === undefined
      ? undefined
      : { ...stored, record: { ...this.#plain(stored.record), writeId: stored.record.writeId } };
  }

  #blank(contender: number, ticket: number): Local {
    const id = idOf(this.scene, contender, Math.max(ticket, 0));
    const nothing = { state: undefined, request: undefined, token: undefined, late: false, cached: undefined };
    return { kind: "done", contender, ticket, id, ...nothing };
  }

  #normal(state: State): State {
    const scanning = state.phase === "scan";
    const { stored } = state;
    return {
      ...state,
      startedMs: 0,
      pace: undefined,
      // To give way is but to be slow.
      yields: Number.POSITIVE_INFINITY,
      watched: scanning ? state.watched : {},
      readSentMs: scanning ? state.readSentMs : undefined,
      stored:
        stored === undefined ? undefined : { ...stored, record: { ...stored.record, ...this.#plain(stored.record) } },
      writing:
        state.writing === undefined ? undefined : { ...state.writing, content: this.#plain(state.writing.content) },
      ending: state.ending === undefined ? undefined : ({ is: state.ending.is } as State["ending"]),
    };
  }

  #plain<T extends Content>(content: T): T {
    if (this.scene.contentEtags === true) return content;
    const entry = (one: Content["holders"][number]) => ({ ...one, renewals: 0, atMs: undefined });
    return { ...content, holders: content.holders.map(entry), queue: content.queue.map(entry) };
  }

  /** `writeId`: of the record that is there now. */
  #aged(state: State, writeId: string, forgets: boolean): State {
    if (this.scene.contentEtags === true) return state;
    const { stored, writing, phase } = state;
    const idle = forgets && (phase === "read" || phase === "write");
    const gone = { ...EMPTY, writeId: "old" };
    const unclear = state.unclear.map((one) => ({
      ...one,
      etag: old(one.etag),
      writeId: one.writeId === writeId || one.etag === undefined ? one.writeId : "x",
    }));
    const texts = unclear.map((one) => JSON.stringify(one));
    return {
      ...state,
      stored:
        stored === undefined
          ? undefined
          : { ...stored, record: idle && stored.etag === "now" ? gone : stored.record, etag: old(stored.etag)! },
      writing:
        writing === undefined
          ? undefined
          : { content: idle && writing.etag === "now" ? EMPTY : writing.content, etag: old(writing.etag) },
      unclear: unclear.filter((_, i) => texts.indexOf(texts[i]!) === i),
    };
  }

  #agedCache(one: Local): Stored | undefined {
    if (one.cached === undefined) return undefined;
    const own = entryOf(one.cached.record, one.id);
    const record =
      this.#forgets && own !== undefined
        ? { ...EMPTY, confirmed: true, token: own.token ?? 0n, holders: [own], writeId: "old" }
        : one.cached.record;
    return { ...one.cached, record, etag: old(one.cached.etag)! };
  }

  #storedKey(stored: Stored): string {
    return `${stored.etag} ${encode(stored.record)}`;
  }

  #number(local: Local): number {
    const key = JSON.stringify(local, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.locals.push(local) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

const old = (etag: string | undefined): string | undefined => (etag === "now" ? "old" : etag);
