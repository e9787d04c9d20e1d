/**
 * Store, contenders and adversary as one state of a few words, and every step that can come next.
 * The real machine makes all decisions (machine-table.ts); this file only carries them out on a store of a few objects.
 *
 * A LIST is not a snapshot: each object may be read at any instant between the listing's begin and its end. Instead of
 * reading one by one, the state keeps for every listing under way the set of values each object has had since it began, and
 * the adversary picks any combination at the end. That allows every order of reading (and more: picks need not agree with
 * any one order), and costs two steps a listing instead of one an object. The begin joins the step before it: to begin
 * earlier only adds values to pick from.
 */
import {
  BEGUN,
  BEGUN_BROKEN,
  BOTH,
  BREAKER_AT,
  BREAKER_DELETES,
  BREAKER_USED,
  BREAKING,
  BROKEN,
  CLAIMED_BROKEN,
  CLAIMED_INVALID,
  DELETE_DOOR,
  DELETE_PLACE,
  DOOR_CAME_LATE,
  DOOR_WRITTEN,
  EXPIRED,
  Ground,
  LANDED,
  LOCAL,
  PENDING,
} from "./ground.js";
import {
  CRASHED,
  DONE,
  DOOR,
  HELD,
  LIST,
  LOOK,
  type Local,
  PLACE,
  RELEASE,
  TAKE_OVER,
  UNBORN,
  WITHDRAW,
} from "./machine-table.js";
import { befalls } from "./scene.js";

export type Emit = (step: number, actor: number, detail: number) => void;

export class World extends Ground {
  #emit: Emit = () => {};

  /** Every step from the state in `row`, one `emit` each, with where it leads in `next`. */
  expand(row: Uint32Array, emit: Emit): void {
    this.#emit = emit;
    this.now.set(row);
    for (let i = 0; i < this.contenders; i++) this.#contender(i);
    this.#adversary();
  }

  #contender(i: number): void {
    const word = this.now[2 * i]!;
    const local = this.local(this.now, i);
    const { slot, kind } = local;
    if (kind !== DONE && kind !== CRASHED && kind !== UNBORN) this.#proceed(i, local, word);
    this.#restless(i, slot, kind);
  }

  #proceed(i: number, local: Local, word: number): void {
    const { slot, kind } = local;
    const number = word & LOCAL;
    const valid = (word & EXPIRED) === 0;
    switch (kind) {
      case DOOR:
        if (local.resumed) this.#resumeDoor(i, slot, number, word);
        else this.#putDoor(i, slot, number);
        break;
      case PLACE:
        this.#putPlace(i, slot, number);
        break;
      case LIST:
        if (this.scene.listing === "spread" && (word & BEGUN) === 0) {
          this.fresh();
          this.begin(i);
          this.#emit(2, i, slot);
        } else this.#list(i, slot, number, word, valid);
        break;
      case LOOK:
        this.#look(i, number, valid);
        break;
      case TAKE_OVER:
        this.#delete(i, word, local.target, () => this.table.deleted(i, number));
        break;
      case WITHDRAW:
        this.#delete(i, word, slot, () => this.table.deleted(i, number));
        break;
      case HELD:
        if (this.scene.keeps?.includes(i) === true) break;
        this.fresh();
        this.enter(i, this.table.plain(RELEASE, slot));
        this.#emit(7, i, slot);
        break;
      case RELEASE:
        this.#delete(i, word, slot, () => this.table.plain(DONE, -1));
        break;
    }
  }

  #putDoor(i: number, slot: number, number: number): void {
    this.fresh();
    this.writeDoor(slot, 1);
    this.remember(slot, DOOR_WRITTEN);
    this.enter(i, this.table.door(i, number, "stored"));
    this.#emit(0, i, slot);
  }

  /** As the driver does it: HEAD both, then PUT -0. DELETE_DOOR stands for "the HEADs found both". */
  #resumeDoor(i: number, slot: number, number: number, word: number): void {
    this.fresh();
    const there = this.object(this.now, slot);
    if ((word & DELETE_DOOR) === 0) {
      if ((there & 1) !== 0 && there >> 1 !== 0) this.next[2 * i] = word | DELETE_DOOR;
      else this.enter(i, this.table.door(i, number, "absent"));
      this.#emit(8, i, slot);
      return;
    }
    const before = this.ownerOf(slot, i);
    const late = before < 0 || (this.now[2 * before]! & EXPIRED) !== 0;
    if (late && this.scene.resume === "inTime") {
      this.enter(i, this.table.door(i, number, "absent"));
    } else {
      this.writeDoor(slot, 1);
      // From here on it is this contender that keeps the ticket alive.
      if (before >= 0) this.next[2 * before] = this.table.plain(CRASHED, -1);
      this.enter(i, this.table.door(i, number, "stored"));
    }
    this.#emit(0, i, slot);
  }

  #putPlace(i: number, slot: number, number: number): void {
    const { timestamps, putAnswerLies, unknownPlace } = this.scene;
    for (let at = 0; at < timestamps; at++) {
      for (let told = 0; told < (putAnswerLies ? timestamps : 1); told++) {
        this.fresh();
        this.writePlace(slot, at + 1);
        this.enter(i, this.table.place(i, number, "stored", putAnswerLies ? told : undefined));
        this.#emit(1, i, at);
      }
      if (!unknownPlace) continue;
      this.fresh();
      this.writePlace(slot, at + 1);
      this.enter(i, this.table.place(i, number, "unknown", undefined));
      this.#emit(13, i, at);
    }
    if (!unknownPlace) return;
    this.fresh();
    this.remember(slot, PENDING);
    this.enter(i, this.table.place(i, number, "unknown", undefined));
    this.#emit(14, i, slot);
  }

  #look(i: number, number: number, valid: boolean): void {
    const { target, part } = this.table.locals[number]!;
    const there = this.object(this.now, target);
    const gone = part === "door" ? (there & 1) === 0 : there >> 1 === 0;
    this.fresh();
    this.enter(i, this.table.look(i, number, gone ? "gone" : "fresh", valid));
    this.#emit(4, i, gone ? 0 : 1);
    if (gone || !this.mayBeDead(target)) return;
    this.fresh();
    this.enter(i, this.table.look(i, number, "dead", valid));
    this.#emit(4, i, 2);
  }

  /** Two deletes, in either order; then what comes after them. */
  #delete(i: number, word: number, slot: number, after: () => number): void {
    for (const which of [DELETE_PLACE, DELETE_DOOR]) {
      if ((word & which) === 0) continue;
      this.fresh();
      this.next[2 * i] = word & ~which;
      this.erase(slot, which === DELETE_PLACE);
      if ((word & BOTH) === which) this.enter(i, after());
      this.#emit(which === DELETE_PLACE ? 5 : 6, i, slot);
    }
  }

  #list(i: number, own: number, number: number, word: number, valid: boolean): void {
    const { minds } = this.table.locals[number]!;
    const seen = this.scene.listing === "spread" ? this.now[2 * i + 1]! : this.values(this.now) & minds;
    const done: number[] = [];
    const pick = (slot: number, view: number, timeless: boolean): void => {
      if (slot === this.slots) {
        this.#listed(i, own, number, word, view, timeless, valid, done);
        return;
      }
      const bits = (seen >>> (5 * slot)) & 31;
      if (bits === 0) {
        pick(slot + 1, view, timeless);
        return;
      }
      const mayBeDead = slot !== own && this.mayBeDead(slot);
      for (let door = 0; door < 3; door++) {
        if (door === 0 ? (bits & 1) === 0 : (bits & 2) === 0 || (door === 2 && !mayBeDead)) continue;
        for (let place = 0; place < 3; place++) {
          if ((bits & (4 << place)) === 0) continue;
          // A living ticket seen without its -0 has a young -1: nothing in such a view may look dead by the server's time.
          const young = door === 0 && place > 0 && !mayBeDead;
          pick(slot + 1, view | ((door + 3 * place) << (4 * slot)), timeless || young);
        }
      }
    };
    pick(0, 0, false);
  }

  #listed(
    i: number,
    own: number,
    number: number,
    word: number,
    view: number,
    timeless: boolean,
    valid: boolean,
    done: number[],
  ): void {
    const mine = (view >> (4 * own)) & 15;
    const whole = mine > 3 && mine % 3 !== 0;
    for (const late of whole ? [false] : [false, true]) {
      const after = this.table.list(i, number, view, timeless, late, valid);
      if (done.includes(after)) continue;
      done.push(after);
      this.fresh();
      const broken = (word & (this.scene.beginApart ? BEGUN_BROKEN : BROKEN)) !== 0;
      this.enter(i, after);
      if (this.table.locals[after]!.kind === HELD) {
        if (!valid) this.next[2 * i]! |= CLAIMED_INVALID;
        if (broken) this.next[2 * i]! |= CLAIMED_BROKEN;
      }
      this.#emit(3, i, view);
    }
  }

  /** What may befall one contender. */
  #restless(i: number, slot: number, kind: number): void {
    const word = this.now[2 * i]!;
    const { scene } = this;
    const live = kind !== DONE && kind !== CRASHED && kind !== UNBORN;
    const waits = live && kind !== DOOR && kind !== WITHDRAW && kind !== RELEASE;
    const left = kind === CRASHED && slot >= 0;
    if (befalls(scene.expiry, i) && (waits || left) && (word & EXPIRED) === 0) {
      this.fresh();
      this.next[2 * i] = word | EXPIRED;
      this.#emit(left ? 9 : 11, i, slot);
    }
    // The keeper looks at its -1 before each renewal, once there is one.
    const kept = waits && kind !== PLACE && this.table.locals[word & LOCAL]!.state?.phase !== "doorway";
    if (kept && (word & EXPIRED) === 0 && this.object(this.now, slot) >> 1 === 0) {
      this.fresh();
      this.next[2 * i] = word | EXPIRED;
      this.#emit(10, i, slot);
    }
    if (befalls(scene.crash, i) && live) {
      this.fresh();
      // Without a lease that may yet be resumed, the dead are dead at once.
      const keeps = scene.resume !== undefined ? word & EXPIRED : EXPIRED;
      this.next[2 * i] = this.table.plain(CRASHED, slot) | keeps;
      this.next[2 * i + 1] = 0;
      this.#emit(12, i, slot);
    }
    if (scene.giveUp && live && kind !== WITHDRAW && kind !== HELD && kind !== RELEASE) {
      const number = word & LOCAL;
      this.fresh();
      this.enter(i, this.table.giveUp(i, number));
      this.#emit(17, i, slot);
      if (kind === PLACE && scene.unknownPlace) {
        this.fresh();
        this.remember(slot, PENDING);
        this.enter(i, this.table.giveUp(i, number));
        this.#emit(18, i, slot);
      }
    }
  }

  #adversary(): void {
    const { scene } = this;
    const history = this.now[this.history]!;
    let lateDoors = 0;
    for (let slot = 0; slot < this.slots; slot++) if ((this.past(this.now, slot) & DOOR_CAME_LATE) !== 0) lateDoors++;
    for (let slot = 0; slot < this.slots; slot++) {
      const past = this.past(this.now, slot);
      const there = this.object(this.now, slot);
      for (let at = 0; (past & PENDING) !== 0 && at < scene.timestamps; at++) {
        this.fresh();
        this.next[this.history]! &= ~(PENDING << (4 * slot));
        this.remember(slot, LANDED);
        this.writePlace(slot, at + 1);
        this.#emit(15, slot, at);
      }
      // Landing on a -0 that is there changes nothing here: its timestamp is only a sign of life.
      if (lateDoors < (scene.lateDoors ?? 0) && (past & DOOR_WRITTEN) !== 0 && (there & 1) === 0) {
        this.fresh();
        this.remember(slot, DOOR_CAME_LATE);
        this.writeDoor(slot, 1);
        this.#emit(16, slot, 0);
      }
      if (scene.breaker && there !== 0 && (history & BREAKER_USED) === 0) {
        this.fresh();
        this.next[this.history]! |= BREAKER_USED | (slot << BREAKER_AT) | (3 << BREAKER_DELETES);
        this.#emit(19, slot, 0);
      }
    }
    if ((history & BREAKER_USED) !== 0) this.#break(history);
    const last = this.contenders - 1;
    if (scene.resume !== undefined && this.local(this.now, last).kind === UNBORN) {
      const { kind, slot } = this.local(this.now, 0);
      if (kind !== CRASHED || slot < 0) return;
      this.fresh();
      this.enter(last, this.table.resume(last, slot));
      this.#emit(20, last, slot);
    }
  }

  #break(history: number): void {
    const slot = (history >>> BREAKER_AT) & 7;
    const left = (history >>> BREAKER_DELETES) & 3;
    for (const which of [1, 2]) {
      if ((left & which) === 0) continue;
      this.fresh();
      this.next[this.history]! &= ~(which << BREAKER_DELETES);
      this.erase(slot, which === 1);
      for (let i = 0; i < this.contenders; i++)
        if (this.local(this.next, i).slot === slot)
          this.next[2 * i]! |= left === which && this.object(this.next, slot) === 0 ? BROKEN | BREAKING : BREAKING;
      this.#emit(which === 1 ? 5 : 6, -1, slot);
    }
  }
}
