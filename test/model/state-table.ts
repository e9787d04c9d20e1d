/**
 * A set of states, each a fixed number of 32-bit words, numbered in the order they came.
 * Compares whole states, so no two different states are ever taken for one: no hash collision can hide a state.
 */
export class StateTable {
  readonly #words: number;
  #rows: Uint32Array;
  #index: Int32Array;
  #size = 0;

  constructor(words: number) {
    this.#words = words;
    this.#rows = new Uint32Array(words << 12);
    this.#index = new Int32Array(1 << 13).fill(-1);
  }

  get size(): number {
    return this.#size;
  }

  /** The number of this state when it is new; -1 - number when it was there. */
  add(row: Uint32Array): number {
    const words = this.#words;
    const mask = this.#index.length - 1;
    let at = hash(row, words) & mask;
    for (;;) {
      const found = this.#index[at]!;
      if (found < 0) break;
      const base = found * words;
      let same = 0;
      while (same < words && this.#rows[base + same] === row[same]) same++;
      if (same === words) return -1 - found;
      at = (at + 1) & mask;
    }
    const number = this.#size++;
    if ((number + 1) * words > this.#rows.length) {
      const rows = new Uint32Array(this.#rows.length * 2);
      rows.set(this.#rows);
      this.#rows = rows;
    }
    this.#rows.set(row, number * words);
    this.#index[at] = number;
    if (this.#size * 2 > this.#index.length) this.#grow();
    return number;
  }

  /** Copies a state out. */
  read(number: number, into: Uint32Array): void {
    const base = number * this.#words;
    for (let word = 0; word < this.#words; word++) into[word] = this.#rows[base + word]!;
  }

  #grow(): void {
    const index = new Int32Array(this.#index.length * 2).fill(-1);
    const mask = index.length - 1;
    const row = new Uint32Array(this.#words);
    for (let number = 0; number < this.#size; number++) {
      this.read(number, row);
      let at = hash(row, this.#words) & mask;
      while (index[at]! >= 0) at = (at + 1) & mask;
      index[at] = number;
    }
    this.#index = index;
  }
}

function hash(row: Uint32Array, words: number): number {
  let h = 0x9e3779b9;
  for (let word = 0; word < words; word++) {
    h = Math.imul(h ^ row[word]!, 0x85ebca6b);
    h ^= h >>> 15;
  }
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Pairs of numbers, as many as come. */
export class Pairs {
  #values = new Int32Array(1 << 14);
  #length = 0;

  get length(): number {
    return this.#length >> 1;
  }

  push(from: number, to: number): void {
    if (this.#length + 2 > this.#values.length) {
      const values = new Int32Array(this.#values.length * 2);
      values.set(this.#values);
      this.#values = values;
    }
    this.#values[this.#length++] = from;
    this.#values[this.#length++] = to;
  }

  /** Everything from which one of `goals` is reached along the pairs: 1, else 0. */
  backwards(states: number, goals: readonly number[]): Uint8Array {
    const first = new Int32Array(states + 1);
    for (let i = 1; i < this.#length; i += 2) first[this.#values[i]! + 1]!++;
    for (let i = 0; i < states; i++) first[i + 1]! += first[i]!;
    const next = first.slice();
    const from = new Int32Array(this.length);
    for (let i = 0; i < this.#length; i += 2) from[next[this.#values[i + 1]!]!++] = this.#values[i]!;
    const reached = new Uint8Array(states);
    const stack = [...goals];
    for (const goal of goals) reached[goal] = 1;
    for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
      for (let i = first[state]!; i < first[state + 1]!; i++) {
        const before = from[i]!;
        if (reached[before] === 0) {
          reached[before] = 1;
          stack.push(before);
        }
      }
    }
    return reached;
  }
}
