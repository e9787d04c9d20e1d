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
import { ask, type Content, leave } from "../../packages/lock/src/conditional/record.js";
import {
  AGED,
  ALWAYS,
  ASKED,
  BROKEN,
  DOUBLED,
  EVER,
  LISTING,
  LOST,
  label,
  RENEWALS,
  RESUMED,
  RecordGround,
} from "./conditional-ground.js";
import { befalls, ownerOf } from "./conditional-scene.js";
import type { Local } from "./conditional-table.js";
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
  "a person asks all who hold to release",
  "passes its ticket on: a token is drawn",
  "stops, and its ticket is found again",
  "a person breaks a ticket of",
] as const;
const FIRST_OF_ADVERSARY = 8;

export class RecordWorld extends RecordGround {
  readonly firstOfAdversary = FIRST_OF_ADVERSARY;
  #emit: Emit = () => {};

  expand(row: Uint32Array, emit: Emit): void {
    this.#emit = emit;
    this.now.set(row);
    for (let i = 0; i < this.count; i++) this.#contender(i);
    this.#land();
    this.#ask();
    this.#break();
    this.beside?.expand(this.now[3]!, this.now[4]!, this.now[0] !== 0, (word, objects, trouble, token) => {
      this.fresh();
      this.next[3] = word;
      this.objects(objects);
      if (token > 0) this.claim(token, true);
      this.#emit(trouble ? 22 : 7, -1, 0);
    });
  }

  #contender(i: number): void {
    const local = this.local(this.now, i);
    const { scene } = this;
    if (local.kind === "done" || local.kind === "crashed") return;
    const flags = this.now[this.at(i) + 1]!;
    if (local.kind === "held") this.#held(i, local, flags);
    else this.#run(i, local, flags);
    const wrote = local.state?.joined !== false || local.state.unclear.length > 0;
    if (befalls(scene.expiry, i) && wrote) {
      const holds = local.kind === "held" || local.token !== undefined;
      const after = this.table.expire(this.now[this.at(i)]!);
      const aged = flags | AGED | (holds ? LOST : 0);
      if (after !== this.now[this.at(i)] || aged !== flags) {
        this.fresh();
        this.next[this.at(i)] = after;
        this.next[this.at(i) + 1] = aged;
        this.#emit(17, i, 0);
      }
    }
    if (befalls(scene.crash, i)) {
      this.fresh();
      this.next[this.at(i)] = this.table.end("crashed", i, local.ticket);
      this.next[this.at(i) + 1] = 0;
      this.#emit(18, i, 0);
    }
  }

  #held(i: number, local: Local, flags: number): void {
    const number = this.now[this.at(i)]!;
    const used = (flags >> RENEWALS) & 3;
    if ((flags & LOST) === 0 && used < (this.scene.renewals ?? 0)) {
      this.fresh();
      this.next[this.at(i) + 1] = flags + (1 << RENEWALS);
      this.enter(i, this.table.begin(number, "renew", this.memory()), local);
      this.#emit(5, i, 0);
      if (this.scene.draws === true) {
        this.fresh();
        this.next[this.at(i) + 1] = flags + (1 << RENEWALS);
        this.enter(i, this.table.begin(number, "draw", this.memory()), local);
        this.#emit(24, i, 0);
      }
    }
    if (befalls(this.scene.resumes, i) && (flags & RESUMED) === 0) {
      this.fresh();
      this.enter(i, this.table.begin(number, "resume", this.memory()), local);
      // Who held by it has stopped; its entry is as old as it was.
      this.next[this.at(i) + 1] = (flags & ~LOST) | RESUMED;
      this.#emit(25, i, 0);
    }
    this.fresh();
    this.enter(i, this.table.begin(number, "leave", this.memory()), local);
    this.#emit(6, i, 0);
  }

  #run(i: number, local: Local, flags: number): void {
    const number = this.now[this.at(i)]!;
    const { request, state } = local;
    const { scene } = this;
    if (request!.do === "read") this.#read(i, local, number);
    else if (request!.do === "write") this.#write(i, local, number);
    else this.#scan(i, local, number, flags);
    const acquires = state!.purpose === "acquire" && state!.ending === undefined;
    if (befalls(scene.giveUp, i) && acquires) {
      const budget = this.answersLeft();
      this.fresh();
      this.enter(i, this.table.giveUp(number), local);
      this.#emit(19, i, 0);
      // Cut off while its write is on the way.
      if (request?.do === "write" && budget > 0 && this.admits(request)) {
        this.fresh();
        this.keep(i, request.content, request.etag, request.blind === true);
        this.enter(i, this.table.giveUp(number), local);
        this.#emit(19, i, 1);
      }
    }
    const renews = state!.purpose === "renew" || state!.purpose === "draw";
    if (renews && request!.do === "read" && state!.unclear.length > 0) {
      this.fresh();
      this.next[this.at(i)] = this.table.breakOff(number);
      this.#emit(20, i, 0);
    }
    if (scene.oneProcess === true && request!.do === "read" && state!.stored !== undefined) {
      const memory = this.memoryNumber(state!.stored);
      if (memory !== this.now[2]) {
        this.fresh();
        this.next[2] = memory;
        this.#emit(21, i, 0);
      }
    }
  }

  #read(i: number, local: Local, number: number): void {
    const record = this.now[0]!;
    const dead: string[] = [];
    const living: string[] = [];
    for (const one of this.table.records[record]?.holders ?? []) {
      if (one.id === local.id) continue;
      if (this.mayBeDead(one.id)) dead.push(one.id);
      else if (one.granted && this.scene.impatience === true) living.push(one.id);
    }
    const all = [...dead, ...living];
    for (let set = 0; set < 1 << all.length; set++) {
      const seen = all.filter((_, at) => (set & (1 << at)) !== 0);
      for (const overdue of befalls(this.scene.deadline, i) ? [false, true] : [false]) {
        this.fresh();
        this.enter(i, this.table.read(number, record, seen, overdue), local);
        this.#emit(set >> dead.length !== 0 ? 8 : overdue ? 9 : 0, i, set);
      }
    }
  }

  #write(i: number, local: Local, number: number): void {
    const request = local.request as Extract<Local["request"], { do: "write" }>;
    const { content, etag } = request;
    const blind = request.blind === true;
    const { scene } = this;
    const budget = this.answersLeft();
    const writeId = `${name(i)}${scene.lost! - budget}`;
    const wrote = (
      step: number,
      outcome: "stored" | "conflict" | "unknown",
      landed: boolean,
      id: string,
      late = false,
      keep = false,
    ): void => {
      this.fresh();
      const lost = step >= 11;
      if (lost) this.next[1]!++;
      if (keep) this.keep(i, content, etag, blind, id);
      if (landed) this.put(content, id, i);
      const after = this.table.wrote(number, outcome, landed, id, late, this.table.etag(this.next[0]!));
      if (landed && late) this.next[this.at(i) + 1]! |= AGED | (local.token === undefined ? 0 : LOST);
      this.enter(i, after, local);
      this.#emit(step, i, 0);
    };
    if (this.admits(request)) {
      wrote(1, "stored", true, "-");
      if (befalls(scene.expiry, i)) wrote(10, "stored", true, "-", true);
      if (scene.contentEtags === true && (this.now[1]! & DOUBLED) === 0) this.#double(i, local, number);
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
    this.fresh();
    this.next[1]! |= DOUBLED;
    this.put(content, "-", i);
    this.keep(i, content, etag, false, "-");
    const after = this.table.wrote(number, "stored", true, "-", false, this.table.etag(this.next[0]!));
    this.enter(i, after, local);
    this.#emit(1, i, 1);
  }

  #scan(i: number, local: Local, number: number, flags: number): void {
    if (this.beside === undefined) {
      this.fresh();
      this.enter(i, this.table.scan(number, false, 0n), local);
      this.#emit(4, i, 0);
      return;
    }
    const objects = this.now[4]!;
    if ((flags & LISTING) === 0) {
      this.fresh();
      this.next[this.at(i) + 1] = flags | LISTING | ((objects & 3) << ALWAYS) | ((objects & 3) << EVER);
      this.#emit(3, i, 0);
      return;
    }
    // The last look reads the markers once more, after the tickets; what the first shows is but a beginning.
    const marker = BigInt(objects >> 2);
    const always = ((flags >> ALWAYS) & 3) !== 0;
    const ever = ((flags >> EVER) & 3) !== 0;
    for (const stranger of always ? [true] : ever ? [false, true] : [false]) {
      this.fresh();
      this.next[this.at(i) + 1]! &= (1 << 6) - 1;
      this.enter(i, this.table.scan(number, stranger, marker), local);
      this.#emit(4, i, 0);
    }
  }

  /** What is under way lands, if its condition holds now. */
  #land(): void {
    for (let at = this.pending; at < this.words; at++) {
      const number = this.now[at]!;
      if (number === 0) continue;
      const pending = this.pendings[number - 1]!;
      this.fresh();
      this.next[at] = 0;
      this.sort();
      if (this.admits(pending)) {
        this.put(pending.content, pending.writeId, pending.owner);
        this.#emit(15, -1, pending.owner);
      } else this.#emit(16, -1, pending.owner);
    }
  }

  /** Read and written in one step: a compare-and-swap that was refused is none. */
  #ask(): void {
    const record = this.table.records[this.now[0]!];
    if (this.scene.asks !== true || record === undefined || record.holders.length === 0) return;
    if ((this.now[1]! & ASKED) !== 0) return;
    this.fresh();
    this.next[1]! |= ASKED;
    this.put(ask(record, undefined, { reason: "r", by: "b" }), "ask", -1);
    this.#emit(23, -1, 0);
  }

  /** In one step too. Whose ticket it was cannot prove any more that it holds, and does not know yet. */
  #break(): void {
    const record = this.table.records[this.now[0]!];
    if (this.scene.breaks !== true || record === undefined || (this.now[1]! & BROKEN) !== 0) return;
    for (const { id } of record.holders) {
      const { contender, ticket } = ownerOf(id);
      this.fresh();
      this.next[1]! |= BROKEN;
      this.put(leave(record, [id]), "break", -1);
      const local = this.local(this.now, contender);
      if (local.ticket === ticket && (local.kind === "held" || local.token !== undefined))
        this.next[this.at(contender) + 1]! |= LOST;
      this.#emit(26, -1, contender);
    }
  }

  tell(step: number, actor: number, detail: number): string {
    if (step === 26) return `${STEPS[step]} ${name(detail)}`;
    const who = step === 15 || step === 16 ? `${name(detail)}'s` : actor < 0 ? "" : name(actor);
    const beside = this.beside?.tell(this.next[3]!, this.next[4]!) ?? "";
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
    const { kind, request, state } = this.local(this.next, i);
    if (kind !== "run") return kind;
    return `${state!.ending === undefined ? "" : "leaving, "}wants to ${request!.do}`;
  }
}
