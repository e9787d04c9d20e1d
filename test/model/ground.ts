/**
 * A state of the explored world as a few words, read and written: what the store holds, where each contender stands, what
 * a listing under way may have seen, and what has happened. Judges states; takes no step by itself.
 */
import {
  CRASHED,
  DONE,
  DOOR,
  HELD,
  LIST,
  type Local,
  MachineTable,
  RELEASE,
  TAKE_OVER,
  UNBORN,
  WITHDRAW,
} from "./machine-table.js";
import type { Scene } from "./scene.js";

// A contender is two words: its place in the machine's table with these flags, and what its listing may have seen.
export const LOCAL = (1 << 20) - 1;
export const DELETE_PLACE = 1 << 20;
export const DELETE_DOOR = 1 << 21;
export const BOTH = DELETE_PLACE | DELETE_DOOR;
export const EXPIRED = 1 << 22;
export const BEGUN = 1 << 23;
/** Both objects were gone since a person broke the ticket. */
export const BROKEN = 1 << 24;
/** A person deleted one of them at least: whatever it claimed before is no longer defended. */
export const BREAKING = 1 << 28;
/** The listing began when they were. */
export const BEGUN_BROKEN = 1 << 25;
/** Claimed while no longer valid: only a machine without that rule does it, and it believes to hold. */
export const CLAIMED_INVALID = 1 << 26;
export const CLAIMED_BROKEN = 1 << 27;

// History, four bits a ticket, then the breaker.
export const PENDING = 1;
export const LANDED = 2;
export const DOOR_WRITTEN = 4;
export const DOOR_CAME_LATE = 8;
export const BREAKER_USED = 1 << 24;
export const BREAKER_AT = 25;
export const BREAKER_DELETES = 28;

export class Ground {
  readonly words: number;
  readonly table: MachineTable;
  /** The state a step leads to, valid while `emit` runs. */
  readonly next: Uint32Array;
  protected readonly now: Uint32Array;
  protected readonly store: number;
  protected readonly history: number;
  protected readonly contenders: number;
  readonly slots: number;
  protected readonly conflict: boolean[][];

  constructor(readonly scene: Scene) {
    const n = scene.modes.length;
    // A listing that begins as early as it can is no measure of what was gone before it began.
    if (scene.breaker && scene.listing === "spread" && !scene.beginApart) throw new Error("breaker needs beginApart");
    this.table = new MachineTable(scene);
    this.contenders = n;
    this.slots = n * scene.tickets;
    this.store = 2 * n;
    this.history = 2 * n + 1;
    this.words = 2 * n + 2;
    this.next = new Uint32Array(this.words);
    this.now = new Uint32Array(this.words);
    const { modes, permits } = scene;
    // Of one semaphore as many as its permits may hold: those are counted.
    this.conflict = modes.map((a, i) =>
      modes.map(
        (b, j) => (a !== "shared" || b !== "shared") && (a !== b || a === "exclusive" || permits![i] !== permits![j]),
      ),
    );
  }

  /** The first state, in `next`. */
  first(): void {
    this.next.fill(0);
    for (let i = 0; i < this.contenders; i++) {
      const unborn = this.scene.resume !== undefined && i === this.contenders - 1;
      this.next[2 * i] = unborn ? this.table.plain(UNBORN, -1) : this.table.start(i);
    }
  }

  /** What is wrong with the state in `next`, if anything. */
  wrong(): string | undefined {
    let finished = true;
    let permits = 0;
    for (let i = 0; i < this.contenders; i++) {
      const word = this.next[2 * i]!;
      if ((word & CLAIMED_BROKEN) !== 0) return `${name(i)} claims a ticket that was gone before its listing began`;
      const { kind } = this.local(this.next, i);
      finished &&= this.ended(i, kind);
      if (!this.holds(i)) continue;
      if (this.scene.modes[i] === "permit" && ++permits > this.scene.permits![i]!)
        return `${permits} hold a semaphore of ${this.scene.permits![i]}`;
      for (let j = 0; j < i; j++)
        if (this.conflict[i]![j] && this.holds(j)) return `${name(j)} and ${name(i)} both hold`;
    }
    if (!finished) return undefined;
    for (let slot = 0; slot < this.slots; slot++) {
      if (this.object(this.next, slot) !== 0 && !this.mayStay(slot))
        return `everybody is done, and ${this.slotName(slot)} is left behind`;
    }
    return undefined;
  }

  /** Has everybody finished in the state in `next`? */
  finished(): boolean {
    for (let i = 0; i < this.contenders; i++) {
      if (!this.ended(i, this.local(this.next, i).kind)) return false;
    }
    return true;
  }

  protected ended(i: number, kind: number): boolean {
    if (kind === HELD && this.scene.keeps?.includes(i) === true) return true;
    return kind === DONE || kind === CRASHED || kind === UNBORN;
  }

  protected holds(i: number): boolean {
    const word = this.next[2 * i]!;
    if (this.local(this.next, i).kind !== HELD || (word & BREAKING) !== 0) return false;
    return (word & EXPIRED) === 0 || (word & CLAIMED_INVALID) !== 0;
  }

  /** Only what nobody can delete any more: late writes, and what the dead leave. */
  protected mayStay(slot: number): boolean {
    if ((this.past(this.next, slot) & (LANDED | DOOR_CAME_LATE)) !== 0) return true;
    const owner = Math.floor(slot / this.scene.tickets);
    const { kind } = this.local(this.next, owner);
    return kind === CRASHED || kind === HELD;
  }

  /** Whoever keeps it alive is gone, or has been silent for a lease. */
  protected mayBeDead(slot: number): boolean {
    const owner = this.ownerOf(slot, -1);
    return owner < 0 || (this.now[2 * owner]! & EXPIRED) !== 0;
  }

  protected ownerOf(slot: number, except: number): number {
    for (let i = 0; i < this.contenders; i++) {
      if (i === except) continue;
      const local = this.local(this.now, i);
      // Who has come to resume does not keep it alive before its first PUT.
      if (local.slot === slot && !(local.resumed && local.kind === DOOR)) return i;
    }
    return -1;
  }

  local(row: Uint32Array, i: number): Local {
    return this.table.locals[row[2 * i]! & LOCAL]!;
  }

  /** -0 in the lowest bit, above it -1: 0 absent, else 1 + timestamp. */
  object(row: Uint32Array, slot: number): number {
    return (row[this.store]! >>> (3 * slot)) & 7;
  }

  protected past(row: Uint32Array, slot: number): number {
    return (row[this.history]! >>> (4 * slot)) & 15;
  }

  protected fresh(): void {
    this.next.set(this.now);
  }

  protected remember(slot: number, what: number): void {
    this.next[this.history]! |= what << (4 * slot);
  }

  protected enter(i: number, number: number): void {
    const before = this.next[2 * i]!;
    const local = this.table.locals[number]!;
    const same = this.table.locals[before & LOCAL]!.slot === local.slot;
    const deletes = local.kind === TAKE_OVER || local.kind === WITHDRAW || local.kind === RELEASE ? BOTH : 0;
    this.next[2 * i] = number | deletes | (same ? before & (EXPIRED | BROKEN | BREAKING) : 0);
    this.next[2 * i + 1] = 0;
    if (local.kind === LIST && this.scene.listing === "spread" && !this.scene.beginApart) this.begin(i);
  }

  protected begin(i: number): void {
    const word = this.next[2 * i]!;
    this.next[2 * i] = word | BEGUN | ((word & BROKEN) !== 0 ? BEGUN_BROKEN : 0);
    this.next[2 * i + 1] = this.values(this.next) & this.table.locals[word & LOCAL]!.minds;
  }

  /** The value of every object, as one bit of five a ticket each. */
  protected values(row: Uint32Array): number {
    let bits = 0;
    for (let slot = 0; slot < this.slots; slot++) {
      const there = this.object(row, slot);
      bits |= ((there & 1) + 1 + (4 << (there >> 1))) << (5 * slot);
    }
    return bits;
  }

  protected writeDoor(slot: number, value: 0 | 1): void {
    this.next[this.store] = (this.next[this.store]! & ~(1 << (3 * slot))) | (value << (3 * slot));
    this.show((value + 1) << (5 * slot));
  }

  protected writePlace(slot: number, value: number): void {
    this.next[this.store] = (this.next[this.store]! & ~(6 << (3 * slot))) | (value << (3 * slot + 1));
    this.show((4 << value) << (5 * slot));
  }

  protected erase(slot: number, place: boolean): void {
    if (place) this.writePlace(slot, 0);
    else this.writeDoor(slot, 0);
  }

  /** Every listing under way may see it. */
  protected show(bit: number): void {
    for (let i = 0; i < this.contenders; i++) {
      const word = this.next[2 * i]!;
      if ((word & BEGUN) !== 0) this.next[2 * i + 1]! |= bit & this.table.locals[word & LOCAL]!.minds;
    }
  }

  slotName(slot: number): string {
    const { tickets } = this.scene;
    return `${name(Math.floor(slot / tickets))}${(slot % tickets) + 1}`;
  }
}

export const name = (contender: number): string => String.fromCharCode(65 + contender);
