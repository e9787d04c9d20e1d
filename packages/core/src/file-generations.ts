/**
 * One value shared by processes of a host, linearizable, over a directory: a chain of generation files made by link(2),
 * of which the highest is the value. Never locks anything, so a process that is killed or stopped at any point leaves
 * nothing that could block another; never knows what the value means.
 *
 * Why it is sound. (1) A generation is removed only when a higher one exists, so the highest number never goes down.
 * (2) link(2) gives a number to one writer only, and the file is whole before it has its number. (3) A write is made from
 * the state before it and takes the next number; it counts only if that number was the highest when it was linked.
 * A listing of the directory is one getdents call as long as the names fit its 32 KiB buffer (some 800; sweeping keeps
 * about ten), and the kernel holds the directory's lock for the length of that call.
 */
import { join } from "node:path";
import type { CallLimit } from "./call-limit.js";
import { StoreError } from "./errors.js";
import { type Disk, diskError, errno, surelyRefused, unlessMissing } from "./file-disk.js";
import { generationName, generationOf, type Layout } from "./file-layout.js";
import {
  bodyFiles,
  decodeState,
  EMPTY,
  encodeState,
  nextState,
  type Objects,
  type State,
  wasApplied,
} from "./file-state.js";
import type { Random } from "./random.js";

/** So many of the newest generations are left for readers that are about to open them. */
const KEEP = 8;
/** Leftovers of killed processes are looked for with every so many writes, and with a process's first. */
const TIDY_EVERY = 16;

export interface Parts {
  readonly disk: Disk;
  readonly layout: Layout;
  readonly random: Random;
  readonly durable: boolean;
}

/** What a write makes of the state it finds. */
export interface Decision<T> {
  /** Absent: nothing to write, the answer stands for the state found. */
  readonly objects?: Objects | undefined;
  /** A body that the new objects refer to by the name of the attempt. */
  readonly body?: Uint8Array | undefined;
  readonly answer: T;
}

export interface Attempt {
  readonly writeId: string;
  /** `<number>-<writeId>`: what the files written for this try at generation `number` are called. Tells when they are rubbish. */
  readonly name: string;
}

export type Decide<T> = (objects: Objects, attempt: Attempt) => Decision<T>;

export type Written<T> = { readonly answer: T } | { readonly unknown: StoreError };

export class Generations {
  readonly #parts: Parts;
  /** This store among all that write in the directory, in this process and others. */
  readonly #writer: string;
  #newest: State = EMPTY;
  #tidied = false;
  /** Ends when the last writer of this process that got in line is through. */
  #line: Promise<void> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#writer = parts.random.hex(8);
  }

  /** The state at some moment during this call. */
  async read(limit: CallLimit): Promise<State> {
    const { disk, layout } = this.#parts;
    for (;;) {
      limit.check();
      const highest = await this.#highest();
      limit.check();
      if (highest === 0) return EMPTY;
      if (highest === this.#newest.generation) return this.#newest;
      const path = join(layout.generations, generationName(highest));
      const text = await named(path, unlessMissing(disk.read(path)));
      limit.check();
      // Missing: swept between listing and reading. There, it may still have been swept and its number given to a late
      // link in between: the file of a stopped writer, which never was the state. While the number is among the newest it
      // has not been swept, so the file is what the listing saw.
      if (text === undefined || (await this.#highest()) - highest >= KEEP) continue;
      return this.#remember(decodeState(text.toString(), highest, path));
    }
  }

  /**
   * Applies `decide` to the state as it is, atomically; it is asked again whenever another writer came first. `unknown`:
   * the write may or may not have become part of the state. Any throw: it has not.
   */
  async write<T>(limit: CallLimit, decide: Decide<T>): Promise<Written<T>> {
    // Writers of one process stand in line: racing each other would only cost tries.
    const before = this.#line;
    let leave = (): void => {};
    this.#line = new Promise<void>((resolve) => {
      leave = resolve;
    });
    try {
      await limit.wait(before);
      return await this.#write(limit, decide);
    } finally {
      void before.then(leave);
    }
  }

  async #write<T>(limit: CallLimit, decide: Decide<T>): Promise<Written<T>> {
    const writeId = this.#parts.random.hex(8);
    let bodyName: string | undefined;
    try {
      for (let lost = 0; ; lost++) {
        if (lost > 0) await limit.sleep(this.#parts.random.float() * pauseMs(lost));
        const base = await this.read(limit);
        const name = `${generationName(base.generation + 1)}-${writeId}`;
        const { objects, body, answer } = decide(base.objects, { name, writeId });
        if (objects === undefined) return { answer };
        if (body !== undefined) {
          const earlier = bodyName;
          bodyName = name;
          await this.#placeBody(earlier, name, body);
        }
        const next = nextState(base, this.#writer, objects);
        const verdict = await this.#link(limit, next, name);
        if (verdict === "lost") continue;
        bodyName = undefined;
        if (verdict !== "stored") return { unknown: verdict };
        await this.#sweep(base, next);
        return { answer };
      }
    } finally {
      if (bodyName !== undefined) await this.#remove("bodies", bodyName);
    }
  }

  // The name moves on with the attempt: a body named for a number that is taken is rubbish to every sweeper.
  async #placeBody(earlier: string | undefined, name: string, body: Uint8Array): Promise<void> {
    const { disk, layout, durable } = this.#parts;
    const path = join(layout.bodies, name);
    const moved =
      earlier !== undefined &&
      (await named(path, unlessMissing(disk.rename(join(layout.bodies, earlier), path).then(() => true))));
    if (!moved) await named(path, disk.write(path, body, durable));
    if (durable) await named(layout.bodies, disk.sync(layout.bodies));
  }

  /** Tries to make `next` the newest generation. */
  async #link(limit: CallLimit, next: State, name: string): Promise<"stored" | "lost" | StoreError> {
    const { disk, layout, durable } = this.#parts;
    const draft = join(layout.tmp, name);
    const path = join(layout.generations, generationName(next.generation));
    try {
      await named(draft, disk.write(draft, encodeState(next), durable));
      limit.check();
      try {
        await disk.link(draft, path);
      } catch (error) {
        // EEXIST: another has the number. ENOENT: a sweeper took the draft, so another has it too.
        if (errno(error) === "EEXIST" || errno(error) === "ENOENT") return "lost";
        if (surelyRefused(error)) throw diskError(error, path);
        return outcomeUnknown(path, error);
      }
      return await this.#verdict(limit, next);
    } finally {
      await this.#remove("tmp", name);
    }
  }

  /**
   * Whether a link that succeeded made its file the state. A writer that was stopped before it may have been given a number
   * that was taken, left behind and swept long ago; nobody ever reads that file, as a higher one is there.
   */
  async #verdict(limit: CallLimit, mine: State): Promise<"stored" | "lost" | StoreError> {
    const { disk, layout, durable } = this.#parts;
    try {
      if (durable) await disk.sync(layout.generations);
      // The highest never goes down: if it is mine now, none was higher when I linked.
      if ((await this.#highest()) === mine.generation) {
        this.#remember(mine);
        return "stored";
      }
      const applied = wasApplied(await this.read(limit), this.#writer, mine.generation);
      if (applied === undefined) return outcomeUnknown(layout.dir, undefined);
      if (applied) return "stored";
      await this.#remove("generations", generationName(mine.generation));
      return "lost";
    } catch (error) {
      return outcomeUnknown(layout.dir, error);
    }
  }

  async #sweep(base: State, mine: State): Promise<void> {
    const needed = bodyFiles(mine.objects);
    const dropped = [...bodyFiles(base.objects)].filter((name) => !needed.has(name));
    await Promise.all([
      this.#remove("generations", generationName(mine.generation - KEEP)),
      ...dropped.map((name) => this.#remove("bodies", name)),
    ]);
    if (this.#tidied && mine.generation % TIDY_EVERY !== 0) return;
    this.#tidied = true;
    await this.#tidy(mine.generation, needed);
  }

  /**
   * Removes what writers left that were killed, or lost their number. No clock decides: whatever was written for a number
   * that is taken can never become part of the state any more, as its link would fail or come late. What this state does
   * not need of it, no later state needs.
   */
  async #tidy(taken: number, needed: ReadonlySet<string>): Promise<void> {
    const { disk, layout } = this.#parts;
    for (const folder of ["generations", "bodies", "tmp"] as const) {
      const names = await disk.names(layout[folder]).catch(() => []);
      const upTo = folder === "generations" ? taken - KEEP : taken;
      const rubbish = names.filter((name) => (generationOf(name) ?? Infinity) <= upTo && !needed.has(name));
      await Promise.all(rubbish.map((name) => this.#remove(folder, name)));
    }
  }

  /** Rubbish that cannot be removed harms nobody and is tried again; it must not fail a write that is stored. */
  async #remove(folder: "generations" | "bodies" | "tmp", name: string): Promise<void> {
    await this.#parts.disk.remove(join(this.#parts.layout[folder], name)).catch(() => {});
  }

  #remember(state: State): State {
    if (state.generation > this.#newest.generation) this.#newest = state;
    return state;
  }

  /** 0: nothing was ever written. */
  async #highest(): Promise<number> {
    const { disk, layout } = this.#parts;
    const names = await named(layout.generations, disk.names(layout.generations));
    return names.reduce((highest, name) => Math.max(highest, generationOf(name) ?? 0), 0);
  }
}

/**
 * The longest pause after so many lost races, in ms. It grows at first, to let the others through; then it is short, as who
 * has just won needs no pause at all and would keep out for long who waits ever longer.
 */
function pauseMs(lost: number): number {
  return lost < 4 ? 2 ** lost : 1;
}

/** System errors of a disk operation become ours and name the path. */
async function named<T>(path: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    throw diskError(error, path);
  }
}

function outcomeUnknown(path: string, cause: unknown): StoreError {
  return new StoreError(`Nobody can tell any more whether the write was applied: ${path}`, {
    code: "STORE_UNCLEAR",
    kind: "unknown",
    cause,
    details: { path },
  });
}
