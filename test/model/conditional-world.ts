/**
 * One record, contenders that run the real machine, and an adversary: a state as a few words, and every step that can come next.
 * Decides nothing about locks; conditional-table.ts asks the machine.
 *
 * What stands for time: each contender has one clock, "a lease has passed since everything it sent". It may strike at any
 * moment. From then on a holder is lost, an answer or an unclear write is late, and its entry may be seen dead; a write of
 * its own that lands makes the entry fresh again. An entry that was granted and not claimed may be seen dead by the impatient
 * at any time. The dead, and those who are done, may be seen dead at once. Which of them a read shows dead is the
 * adversary's choice every time: that is more than the two real rules (watching, the store's clock) can do. It takes for
 * granted that a watcher never takes two writes of an entry for one: marks are unique (conditional.test.ts, "marks").
 *
 * A read, a decision and the sending of a write are separate steps of a real contender, but a read and its decision are one
 * here: between them nobody can see the difference. A write that stays under way lands later, or never, if its condition
 * holds then. Late duplicates of a stored write need no step: with ETags unique to each write their condition never holds
 * again, and no protocol here deletes the record. With ETags that are hashes of the content they get one.
 */
import type { Stored } from "../../packages/lock/src/conditional/machine.js";
import { type Content, EMPTY } from "../../packages/lock/src/conditional/record.js";
import { Beside } from "./conditional-beside.js";
import { befalls, ownerOf, type RecordScene } from "./conditional-scene.js";
import { sweeps } from "./conditional-sweep.js";
import { type Local, type Next, RecordTable } from "./conditional-table.js";
import { name } from "./ground.js";

export type Emit = (step: number, actor: number, detail: number) => void;

/** Steps, as traces name them. Those of the adversary come last: nobody's finishing may depend on them. */
export const STEPS = [
  "GET",
  "PUT: stored",
  "PUT: conflict",
  "LIST begins",
  "LIST",
  "begins a renewal",
  "begins the release",
  "of the other protocol:",
  "GET: somebody who lives looks dead",
  "GET, the wait is over",
  "PUT: stored, answered a lease later",
  "PUT: answer lost, landed",
  "PUT: answer lost, under way",
  "PUT: answer lost, refused",
  "PUT: landed, and its retry conflicts",
  "late PUT lands",
  "late PUT conflicts",
  "a lease passes for",
  "crashes",
  "gives up",
  "gets no answer: the renewal is dropped",
  "wakes: remembers what it saw last",
  "of the other protocol (trouble):",
] as const;
const FIRST_OF_ADVERSARY = 8;

// A contender is two words: its place in the table, and these.
/** A lease has passed since its last write that landed. */
const AGED = 1;
/** Held, and can no longer prove it. */
const LOST = 2;
const RENEWALS = 2;
const LISTING = 1 << 6;
/** Objects of the other protocol: there since its LIST began, or at some time since. */
const ALWAYS = 7;
const EVER = 9;

// History.
const LOST_ANSWERS = 15;
const TOKEN = 4;
const EXCLUSIVE_TOKEN = 9;
const BAD_TOKEN = 1 << 14;
const DOUBLED = 1 << 15;

interface Pending {
  readonly owner: number;
  readonly content: Content;
  readonly writeId: string;
  readonly etag: string | undefined;
  readonly blind: boolean;
}

export class RecordWorld {
  readonly words: number;
  readonly next: Uint32Array;
  readonly firstOfAdversary = FIRST_OF_ADVERSARY;
  readonly table: RecordTable;
  readonly #now: Uint32Array;
  readonly #count: number;
  readonly #pending: number;
  readonly #beside: Beside | undefined;
  readonly #pendings: Pending[] = [];
  readonly #pendingNumbers = new Map<string, number>();
  readonly #memories: Stored[] = [];
  readonly #memoryNumbers = new Map<string, number>();
  readonly #swept = new Map<number, string | undefined>();
  #emit: Emit = () => {};

  constructor(readonly scene: RecordScene) {
    this.table = new RecordTable(scene);
    this.#count = scene.modes.length;
    this.#pending = 5 + 2 * this.#count;
    this.words = this.#pending + (scene.lost ?? 0) + (scene.contentEtags === true ? 1 : 0);
    this.next = new Uint32Array(this.words);
    this.#now = new Uint32Array(this.words);
    this.#beside = scene.beside === undefined ? undefined : new Beside(scene.beside);
  }

  first(): void {
    this.next.fill(0);
    if (this.scene.cold !== true) this.next[0] = this.table.record({ ...EMPTY, confirmed: true }, "first");
    for (let i = 0; i < this.#count; i++) this.next[this.#at(i)] = this.table.start(i);
    if (this.#beside !== undefined) this.next[3] = this.#beside.first();
  }

  expand(row: Uint32Array, emit: Emit): void {
    this.#emit = emit;
    this.#now.set(row);
    for (let i = 0; i < this.#count; i++) this.#contender(i);
    this.#land();
    this.#beside?.expand(this.#now[3]!, this.#now[4]!, this.#now[0] !== 0, (word, objects, trouble, token) => {
      this.#fresh();
      this.next[3] = word;
      this.#objects(objects);
      if (token > 0) this.#claim(token, true);
      this.#emit(trouble ? 22 : 7, -1, 0);
    });
  }

  wrong(): string | undefined {
    if (this.table.corrupt !== undefined) return this.table.corrupt;
    if ((this.next[1]! & BAD_TOKEN) !== 0) return "a token is not above an earlier one";
    const { modes } = this.scene;
    for (let i = 0; i < this.#count; i++) {
      if (!this.#holds(i)) continue;
      if (this.#beside?.holds(this.next[3]!)) return `${name(i)} and the other protocol both hold`;
      for (let j = 0; j < i; j++)
        if ((modes[i] === "exclusive" || modes[j] === "exclusive") && this.#holds(j))
          return `${name(j)} and ${name(i)} both hold`;
    }
    return this.finished() ? this.#leftBehind() : undefined;
  }

  finished(): boolean {
    for (let i = 0; i < this.#count; i++) {
      const { kind } = this.#local(this.next, i);
      if (kind !== "done" && kind !== "crashed") return false;
    }
    return this.#beside === undefined || this.#beside.finished(this.next[3]!);
  }

  tell(step: number, actor: number, detail: number): string {
    const who = step === 15 || step === 16 ? `${name(detail)}'s` : actor < 0 ? "" : name(actor);
    const beside = this.#beside?.tell(this.next[3]!, this.next[4]!) ?? "";
    const record = this.table.records[this.next[0]!];
    const entries = (list: Content["holders"]) =>
      list.map((one) => `${label(one.id)}${one.granted ? "?" : ""}${one.token === undefined ? "" : `#${one.token}`}`);
    const shown =
      record === undefined
        ? "none"
        : `${record.confirmed ? "" : "unconfirmed "}token ${record.token}, holds [${entries(record.holders)}], waits [${entries(record.queue)}]`;
    const after = actor < 0 ? "" : `: ${this.#becomes(actor)}`;
    return `${`${who} ${STEPS[step]}${step === 7 || step === 22 ? ` ${beside}` : ""}${after}`.padEnd(64)} record: ${shown}`;
  }

  #becomes(i: number): string {
    const { kind, request, state } = this.#local(this.next, i);
    if (kind !== "run") return kind;
    return `${state!.ending === undefined ? "" : "leaving, "}wants to ${request!.do}`;
  }

  #contender(i: number): void {
    const local = this.#local(this.#now, i);
    const { scene } = this;
    if (local.kind === "done" || local.kind === "crashed") return;
    const flags = this.#now[this.#at(i) + 1]!;
    if (local.kind === "held") this.#held(i, local, flags);
    else this.#run(i, local, flags);
    const wrote = local.state?.joined !== false || local.state.unclear.length > 0;
    if (befalls(scene.expiry, i) && wrote) {
      const holds = local.kind === "held" || local.token !== undefined;
      const after = this.table.expire(this.#now[this.#at(i)]!);
      const aged = flags | AGED | (holds ? LOST : 0);
      if (after !== this.#now[this.#at(i)] || aged !== flags) {
        this.#fresh();
        this.next[this.#at(i)] = after;
        this.next[this.#at(i) + 1] = aged;
        this.#emit(17, i, 0);
      }
    }
    if (befalls(scene.crash, i)) {
      this.#fresh();
      this.next[this.#at(i)] = this.table.end("crashed", i, local.ticket);
      this.next[this.#at(i) + 1] = 0;
      this.#emit(18, i, 0);
    }
  }

  #held(i: number, local: Local, flags: number): void {
    const number = this.#now[this.#at(i)]!;
    const used = (flags >> RENEWALS) & 3;
    if ((flags & LOST) === 0 && used < (this.scene.renewals ?? 0)) {
      this.#fresh();
      this.next[this.#at(i) + 1] = flags + (1 << RENEWALS);
      this.#enter(i, this.table.begin(number, "renew", this.#memory()), local);
      this.#emit(5, i, 0);
    }
    this.#fresh();
    this.#enter(i, this.table.begin(number, "leave", this.#memory()), local);
    this.#emit(6, i, 0);
  }

  #run(i: number, local: Local, flags: number): void {
    const number = this.#now[this.#at(i)]!;
    const { request, state } = local;
    const { scene } = this;
    if (request!.do === "read") this.#read(i, local, number);
    else if (request!.do === "write") this.#write(i, local, number);
    else this.#scan(i, local, number, flags);
    const acquires = state!.purpose === "acquire" && state!.ending === undefined;
    if (befalls(scene.giveUp, i) && acquires) {
      const budget = this.#answersLeft();
      this.#fresh();
      this.#enter(i, this.table.giveUp(number), local);
      this.#emit(19, i, 0);
      // Cut off while its write is on the way.
      if (request?.do === "write" && budget > 0 && this.#admits(request)) {
        this.#fresh();
        this.#keep(i, request.content, request.etag, request.blind === true);
        this.#enter(i, this.table.giveUp(number), local);
        this.#emit(19, i, 1);
      }
    }
    if (state!.purpose === "renew" && request!.do === "read" && state!.unclear.length > 0) {
      this.#fresh();
      this.next[this.#at(i)] = this.table.breakOff(number);
      this.#emit(20, i, 0);
    }
    if (scene.oneProcess === true && request!.do === "read" && state!.stored !== undefined) {
      const memory = this.#memoryNumber(state!.stored);
      if (memory !== this.#now[2]) {
        this.#fresh();
        this.next[2] = memory;
        this.#emit(21, i, 0);
      }
    }
  }

  #read(i: number, local: Local, number: number): void {
    const record = this.#now[0]!;
    const dead: string[] = [];
    const living: string[] = [];
    for (const one of this.table.records[record]?.holders ?? []) {
      if (one.id === local.id) continue;
      if (this.#mayBeDead(one.id)) dead.push(one.id);
      else if (one.granted && this.scene.impatience === true) living.push(one.id);
    }
    const all = [...dead, ...living];
    for (let set = 0; set < 1 << all.length; set++) {
      const seen = all.filter((_, at) => (set & (1 << at)) !== 0);
      for (const overdue of befalls(this.scene.deadline, i) ? [false, true] : [false]) {
        this.#fresh();
        this.#enter(i, this.table.read(number, record, seen, overdue), local);
        this.#emit(set >> dead.length !== 0 ? 8 : overdue ? 9 : 0, i, set);
      }
    }
  }

  #write(i: number, local: Local, number: number): void {
    const request = local.request as Extract<Local["request"], { do: "write" }>;
    const { content, etag } = request;
    const blind = request.blind === true;
    const { scene } = this;
    const budget = this.#answersLeft();
    const writeId = `${name(i)}${scene.lost! - budget}`;
    const wrote = (
      step: number,
      outcome: "stored" | "conflict" | "unknown",
      landed: boolean,
      id: string,
      late = false,
      keep = false,
    ): void => {
      this.#fresh();
      const lost = step >= 11;
      if (lost) this.next[1]!++;
      if (keep) this.#keep(i, content, etag, blind, id);
      if (landed) this.#put(content, id, i);
      const after = this.table.wrote(number, outcome, landed, id, late, this.table.etag(this.next[0]!));
      if (landed && late) this.next[this.#at(i) + 1]! |= AGED | (local.token === undefined ? 0 : LOST);
      this.#enter(i, after, local);
      this.#emit(step, i, 0);
    };
    if (this.#admits(request)) {
      wrote(1, "stored", true, "-");
      if (befalls(scene.expiry, i)) wrote(10, "stored", true, "-", true);
      if (scene.contentEtags === true && (this.#now[1]! & DOUBLED) === 0) this.#double(i, local, number);
      if (budget > 0) {
        wrote(11, "unknown", true, writeId);
        wrote(12, "unknown", false, writeId, false, true);
        wrote(14, "conflict", true, writeId);
      }
    } else {
      wrote(2, "conflict", false, "refused");
      if (budget > 0) wrote(13, "unknown", false, writeId);
    }
  }

  /** Stored, and a duplicate of it is still on the way. */
  #double(i: number, local: Local, number: number): void {
    const { content, etag } = local.request as Extract<Local["request"], { do: "write" }>;
    this.#fresh();
    this.next[1]! |= DOUBLED;
    this.#put(content, "-", i);
    this.#keep(i, content, etag, false, "-");
    const after = this.table.wrote(number, "stored", true, "-", false, this.table.etag(this.next[0]!));
    this.#enter(i, after, local);
    this.#emit(1, i, 1);
  }

  #scan(i: number, local: Local, number: number, flags: number): void {
    if (this.#beside === undefined) {
      this.#fresh();
      this.#enter(i, this.table.scan(number, false, 0n), local);
      this.#emit(4, i, 0);
      return;
    }
    const objects = this.#now[4]!;
    if ((flags & LISTING) === 0) {
      this.#fresh();
      this.next[this.#at(i) + 1] = flags | LISTING | ((objects & 3) << ALWAYS) | ((objects & 3) << EVER);
      this.#emit(3, i, 0);
      return;
    }
    // Read in the order of the keys: tickets first, markers last.
    const marker = BigInt(objects >> 2);
    const always = ((flags >> ALWAYS) & 3) !== 0;
    const ever = ((flags >> EVER) & 3) !== 0;
    for (const stranger of always ? [true] : ever ? [false, true] : [false]) {
      this.#fresh();
      this.next[this.#at(i) + 1]! &= (1 << 6) - 1;
      this.#enter(i, this.table.scan(number, stranger, marker), local);
      this.#emit(4, i, 0);
    }
  }

  /** What is under way lands, if its condition holds now. */
  #land(): void {
    for (let at = this.#pending; at < this.words; at++) {
      const number = this.#now[at]!;
      if (number === 0) continue;
      const pending = this.#pendings[number - 1]!;
      this.#fresh();
      this.next[at] = 0;
      this.#sort();
      if (this.#admits(pending)) {
        this.#put(pending.content, pending.writeId, pending.owner);
        this.#emit(15, -1, pending.owner);
      } else this.#emit(16, -1, pending.owner);
    }
  }

  #admits(request: { readonly etag: string | undefined; readonly blind?: boolean }): boolean {
    const record = this.#now[0]!;
    if (request.blind === true) return true;
    return request.etag === undefined ? record === 0 : record !== 0 && request.etag === this.table.etag(record);
  }

  #put(content: Content, writeId: string, by: number): void {
    const record = this.table.record(content, writeId);
    this.next[0] = record;
    const own = this.#local(this.next, by).id;
    if ([...content.holders, ...content.queue].some((one) => one.id === own)) this.next[this.#at(by) + 1]! &= ~AGED;
    if (this.scene.contentEtags === true) return;
    for (let i = 0; i < this.#count; i++) this.next[this.#at(i)] = this.table.stale(this.next[this.#at(i)]!, writeId);
    const memory = this.next[2]!;
    if (memory !== 0) this.next[2] = this.#memoryNumber({ ...this.#memories[memory - 1]!, etag: "old" });
    // What waited for the record as it was can never land any more.
    for (let at = this.#pending; at < this.words; at++) {
      const number = this.next[at]!;
      if (number !== 0 && !this.#pendings[number - 1]!.blind) this.next[at] = 0;
    }
    this.#sort();
  }

  #keep(owner: number, content: Content, etag: string | undefined, blind: boolean, id?: string): void {
    const writeId = id ?? "cut";
    if (id === undefined) this.next[1]!++;
    const pending: Pending = { owner, content, writeId, etag, blind };
    const key = JSON.stringify(pending, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
    let number = this.#pendingNumbers.get(key);
    if (number === undefined) {
      number = this.#pendings.push(pending);
      this.#pendingNumbers.set(key, number);
    }
    const free = this.next.indexOf(0, this.#pending);
    if (free < 0) throw new Error("bug: more writes under way than the scene allows");
    this.next[free] = number;
    this.#sort();
  }

  #sort(): void {
    this.next.subarray(this.#pending).sort().reverse();
  }

  #enter(i: number, next: Next, before: Local): void {
    const at = this.#at(i);
    const after = this.table.locals[next.local]!;
    this.next[at] = next.local;
    if (after.ticket !== before.ticket || after.kind === "done") this.next[at + 1] = 0;
    if (this.scene.oneProcess === true && next.memory !== "stays") this.next[2] = this.#memoryNumber(next.memory);
    if (after.kind === "held" && before.token === undefined && before.kind === "run") {
      this.#claim(Number(after.token), this.scene.modes[i] === "exclusive");
    }
  }

  #claim(token: number, exclusive: boolean): void {
    const history = this.next[1]!;
    const highest = (history >> TOKEN) & 31;
    const exclusives = (history >> EXCLUSIVE_TOKEN) & 31;
    const bad = token <= (exclusive ? highest : exclusives);
    const rest = history & (LOST_ANSWERS | BAD_TOKEN | DOUBLED);
    const all = Math.max(highest, token) << TOKEN;
    const line = Math.max(exclusives, exclusive ? token : 0) << EXCLUSIVE_TOKEN;
    this.next[1] = rest | (bad ? BAD_TOKEN : 0) | all | line;
  }

  #objects(objects: number): void {
    const before = this.#now[4]!;
    this.next[4] = objects;
    if (before === objects) return;
    for (let i = 0; i < this.#count; i++) {
      const flags = this.next[this.#at(i) + 1]!;
      if ((flags & LISTING) === 0) continue;
      const always = (flags >> ALWAYS) & 3 & objects;
      const ever = ((flags >> EVER) & 3) | (objects & 3);
      this.next[this.#at(i) + 1] = (flags & ((1 << ALWAYS) - 1)) | (always << ALWAYS) | (ever << EVER);
    }
  }

  /** Nobody keeps it alive, or not for a lease. */
  #mayBeDead(id: string): boolean {
    const { contender, ticket } = ownerOf(id);
    const local = this.#local(this.#now, contender);
    if (local.kind === "done" || local.kind === "crashed" || local.ticket !== ticket) return true;
    return (this.#now[this.#at(contender) + 1]! & AGED) !== 0;
  }

  #holds(i: number): boolean {
    const local = this.#local(this.next, i);
    const holding = local.kind === "held" || (local.kind === "run" && local.token !== undefined);
    return holding && ((this.next[this.#at(i) + 1]! & LOST) === 0 || local.late);
  }

  #leftBehind(): string | undefined {
    const record = this.table.records[this.next[0]!];
    if (record === undefined) return undefined;
    for (const { id } of [...record.holders, ...record.queue]) {
      const { contender, ticket } = ownerOf(id);
      const local = this.#local(this.next, contender);
      if (local.kind !== "crashed" || local.ticket !== ticket)
        return `everybody is done, and ${label(id)} is left behind`;
    }
    if (this.#beside !== undefined) return undefined;
    const number = this.next[0]!;
    if (!this.#swept.has(number)) this.#swept.set(number, sweeps(record));
    return this.#swept.get(number);
  }

  #answersLeft(): number {
    return (this.scene.lost ?? 0) - (this.#now[1]! & LOST_ANSWERS);
  }

  #memory(): Stored | undefined {
    return this.#now[2] === 0 ? undefined : this.#memories[this.#now[2]! - 1];
  }

  #memoryNumber(stored: Stored | undefined): number {
    if (stored === undefined) return 0;
    const key = JSON.stringify(stored, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
    let number = this.#memoryNumbers.get(key);
    if (number === undefined) {
      number = this.#memories.push(stored);
      this.#memoryNumbers.set(key, number);
    }
    return number;
  }

  #local(row: Uint32Array, i: number): Local {
    return this.table.locals[row[this.#at(i)]!]!;
  }

  #at(i: number): number {
    return 5 + 2 * i;
  }

  #fresh(): void {
    this.next.set(this.#now);
  }
}

function label(id: string): string {
  const { contender, ticket } = ownerOf(id);
  return `${name(contender)}${ticket + 1}`;
}
