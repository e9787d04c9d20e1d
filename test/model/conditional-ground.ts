/**
 * A state of the explored world of the conditional protocol as a few words, read and written: the record, each contender's
 * place in the table, writes under way, what a process remembers, what has happened. Judges states; takes no step by itself.
 */
import type { Stored } from "../../packages/lock/src/conditional/machine.js";
import { type Content, EMPTY } from "../../packages/lock/src/conditional/record.js";
import { Beside } from "./conditional-beside.js";
import { ownerOf, type RecordScene } from "./conditional-scene.js";
import { sweeps } from "./conditional-sweep.js";
import { type Local, type Next, RecordTable } from "./conditional-table.js";
import { name } from "./ground.js";

// A contender is two words: its place in the table, and these.
/** A lease has passed since its last write that landed. */
export const AGED = 1;
/** Held, and can no longer prove it. */
export const LOST = 2;
export const RENEWALS = 2;
export const RESUMED = 1 << 5;
export const LISTING = 1 << 6;
/** Objects of the other protocol: there since its LIST began, or at some time since. */
export const ALWAYS = 7;
export const EVER = 9;

// History.
export const LOST_ANSWERS = 15;
export const TOKEN = 4;
export const EXCLUSIVE_TOKEN = 9;
export const BAD_TOKEN = 1 << 14;
export const DOUBLED = 1 << 15;
export const ASKED = 1 << 16;
export const BROKEN = 1 << 17;

interface Pending {
  readonly owner: number;
  readonly content: Content;
  readonly writeId: string;
  readonly etag: string | undefined;
  readonly blind: boolean;
}

export class RecordGround {
  readonly words: number;
  readonly next: Uint32Array;
  readonly table: RecordTable;
  protected readonly now: Uint32Array;
  protected readonly count: number;
  protected readonly pending: number;
  protected readonly beside: Beside | undefined;
  protected readonly pendings: Pending[] = [];
  readonly #pendingNumbers = new Map<string, number>();
  readonly #memories: Stored[] = [];
  readonly #memoryNumbers = new Map<string, number>();
  readonly #swept = new Map<number, string | undefined>();

  constructor(readonly scene: RecordScene) {
    this.table = new RecordTable(scene);
    this.count = scene.modes.length;
    this.pending = 5 + 2 * this.count;
    this.words = this.pending + (scene.lost ?? 0) + (scene.contentEtags === true ? 1 : 0);
    this.next = new Uint32Array(this.words);
    this.now = new Uint32Array(this.words);
    this.beside = scene.beside === undefined ? undefined : new Beside(scene.beside);
  }

  first(): void {
    this.next.fill(0);
    if (this.scene.cold !== true) this.next[0] = this.table.record({ ...EMPTY, confirmed: true }, "first");
    for (let i = 0; i < this.count; i++) this.next[this.at(i)] = this.table.start(i);
    if (this.beside !== undefined) this.next[3] = this.beside.first();
  }

  wrong(): string | undefined {
    if (this.table.corrupt !== undefined) return this.table.corrupt;
    if ((this.next[1]! & BAD_TOKEN) !== 0) return "a token is not above an earlier one";
    const { modes, permits } = this.scene;
    let holding = 0;
    for (let i = 0; i < this.count; i++) {
      if (!this.#holds(i)) continue;
      if (this.beside?.holds(this.next[3]!)) return `${name(i)} and the other protocol both hold`;
      if (modes[i] === "permit" && ++holding > permits![i]!) return `${holding} hold a semaphore of ${permits![i]}`;
      for (let j = 0; j < i; j++)
        if (this.#conflict(i, j) && this.#holds(j)) return `${name(j)} and ${name(i)} both hold`;
    }
    return this.finished() ? this.#leftBehind() : undefined;
  }

  finished(): boolean {
    for (let i = 0; i < this.count; i++) {
      const { kind } = this.local(this.next, i);
      if (kind !== "done" && kind !== "crashed") return false;
    }
    return this.beside === undefined || this.beside.finished(this.next[3]!);
  }

  protected admits(request: { readonly etag: string | undefined; readonly blind?: boolean }): boolean {
    const record = this.now[0]!;
    if (request.blind === true) return true;
    return request.etag === undefined ? record === 0 : record !== 0 && request.etag === this.table.etag(record);
  }

  protected put(content: Content, writeId: string, by: number): void {
    const record = this.table.record(content, writeId);
    this.next[0] = record;
    const own = by < 0 ? "" : this.local(this.next, by).id;
    if (by >= 0 && [...content.holders, ...content.queue].some((one) => one.id === own))
      this.next[this.at(by) + 1]! &= ~AGED;
    if (this.scene.contentEtags === true) return;
    for (let i = 0; i < this.count; i++) this.next[this.at(i)] = this.table.stale(this.next[this.at(i)]!, writeId);
    const memory = this.next[2]!;
    if (memory !== 0) this.next[2] = this.memoryNumber({ ...this.#memories[memory - 1]!, etag: "old" });
    // What waited for the record as it was can never land any more.
    for (let at = this.pending; at < this.words; at++) {
      const number = this.next[at]!;
      if (number !== 0 && !this.pendings[number - 1]!.blind) this.next[at] = 0;
    }
    this.sort();
  }

  protected keep(owner: number, content: Content, etag: string | undefined, blind: boolean, id?: string): void {
    const writeId = id ?? "cut";
    if (id === undefined) this.next[1]!++;
    const pending: Pending = { owner, content, writeId, etag, blind };
    const key = JSON.stringify(pending, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
    let number = this.#pendingNumbers.get(key);
    if (number === undefined) {
      number = this.pendings.push(pending);
      this.#pendingNumbers.set(key, number);
    }
    const free = this.next.indexOf(0, this.pending);
    if (free < 0) throw new Error("bug: more writes under way than the scene allows");
    this.next[free] = number;
    this.sort();
  }

  protected sort(): void {
    this.next.subarray(this.pending).sort().reverse();
  }

  protected enter(i: number, next: Next, before: Local): void {
    const at = this.at(i);
    const after = this.table.locals[next.local]!;
    this.next[at] = next.local;
    if (after.ticket !== before.ticket || after.kind === "done") this.next[at + 1] = 0;
    if (this.scene.oneProcess === true && next.memory !== "stays") this.next[2] = this.memoryNumber(next.memory);
    const isDrawn = before.token === undefined || before.state?.purpose === "draw";
    if (after.kind === "held" && isDrawn && before.kind === "run") {
      this.claim(Number(after.token), this.scene.modes[i] === "exclusive");
    }
  }

  protected claim(token: number, exclusive: boolean): void {
    const history = this.next[1]!;
    const highest = (history >> TOKEN) & 31;
    const exclusives = (history >> EXCLUSIVE_TOKEN) & 31;
    const bad = token <= (exclusive ? highest : exclusives);
    const rest = history & (LOST_ANSWERS | BAD_TOKEN | DOUBLED | ASKED | BROKEN);
    const all = Math.max(highest, token) << TOKEN;
    const line = Math.max(exclusives, exclusive ? token : 0) << EXCLUSIVE_TOKEN;
    this.next[1] = rest | (bad ? BAD_TOKEN : 0) | all | line;
  }

  protected objects(objects: number): void {
    const before = this.now[4]!;
    this.next[4] = objects;
    if (before === objects) return;
    for (let i = 0; i < this.count; i++) {
      const flags = this.next[this.at(i) + 1]!;
      if ((flags & LISTING) === 0) continue;
      const always = (flags >> ALWAYS) & 3 & objects;
      const ever = ((flags >> EVER) & 3) | (objects & 3);
      this.next[this.at(i) + 1] = (flags & ((1 << ALWAYS) - 1)) | (always << ALWAYS) | (ever << EVER);
    }
  }

  /** Nobody keeps it alive, or not for a lease. */
  protected mayBeDead(id: string): boolean {
    const { contender, ticket } = ownerOf(id);
    const local = this.local(this.now, contender);
    if (local.kind === "done" || local.kind === "crashed" || local.ticket !== ticket) return true;
    return (this.now[this.at(contender) + 1]! & AGED) !== 0;
  }

  #conflict(i: number, j: number): boolean {
    const { modes, permits } = this.scene;
    if (modes[i] === "permit" && modes[j] === "permit") return permits![i] !== permits![j];
    return modes[i] !== "shared" || modes[j] !== "shared";
  }

  #holds(i: number): boolean {
    const local = this.local(this.next, i);
    const holding = local.kind === "held" || (local.kind === "run" && local.token !== undefined);
    return holding && ((this.next[this.at(i) + 1]! & LOST) === 0 || local.late);
  }

  #leftBehind(): string | undefined {
    const record = this.table.records[this.next[0]!];
    if (record === undefined) return undefined;
    for (const { id } of [...record.holders, ...record.queue]) {
      const { contender, ticket } = ownerOf(id);
      const local = this.local(this.next, contender);
      if (local.kind !== "crashed" || local.ticket !== ticket)
        return `everybody is done, and ${label(id)} is left behind`;
    }
    if (this.beside !== undefined) return undefined;
    const number = this.next[0]!;
    if (!this.#swept.has(number)) this.#swept.set(number, sweeps(record));
    return this.#swept.get(number);
  }

  protected answersLeft(): number {
    return (this.scene.lost ?? 0) - (this.now[1]! & LOST_ANSWERS);
  }

  protected memory(): Stored | undefined {
    return this.now[2] === 0 ? undefined : this.#memories[this.now[2]! - 1];
  }

  protected memoryNumber(stored: Stored | undefined): number {
    if (stored === undefined) return 0;
    const key = JSON.stringify(stored, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
    let number = this.#memoryNumbers.get(key);
    if (number === undefined) {
      number = this.#memories.push(stored);
      this.#memoryNumbers.set(key, number);
    }
    return number;
  }

  protected local(row: Uint32Array, i: number): Local {
    return this.table.locals[row[this.at(i)]!]!;
  }

  protected at(i: number): number {
    return 5 + 2 * i;
  }

  protected fresh(): void {
    this.next.set(this.now);
  }
}

export function label(id: string): string {
  const { contender, ticket } = ownerOf(id);
  return `${name(contender)}${ticket + 1}`;
}
