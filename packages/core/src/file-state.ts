/**
 * One state of a whole file store, and its text in a generation file. Never changed once made; does no I/O.
 */
import { compareKeys } from "./byte-order.js";
import { StoreError } from "./errors.js";

/** Where a body lies: in the generation file itself (base64), or in a file of its own. */
export type StoredBody = { readonly inline: string } | { readonly file: string };

export interface StoredObject {
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly size: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly body: StoredBody;
}

export type Objects = ReadonlyMap<string, StoredObject>;

export interface State {
  readonly generation: number;
  /** The last writers, each with the generation of its last write; at most `WRITERS_MAX`, the latest write last. */
  readonly writers: readonly (readonly [writer: string, generation: number])[];
  readonly objects: Objects;
}

// So many others can write after a writer before nobody can tell any more whether its write was applied.
const WRITERS_MAX = 64;

export const EMPTY: State = Object.freeze({ generation: 0, writers: [], objects: new Map() });

export function nextState(base: State, writer: string, objects: Objects): State {
  const generation = base.generation + 1;
  const others = base.writers.filter(([name]) => name !== writer);
  return { generation, writers: [...others, [writer, generation] as const].slice(-WRITERS_MAX), objects };
}

/**
 * Whether the last write of `writer`, which was to make `generation`, is among those that made `state`. Undefined: it
 * cannot be told any more. A writer makes one write at a time, so its last one is all there is to remember.
 */
export function wasApplied(state: State, writer: string, generation: number): boolean | undefined {
  const own = state.writers.find(([name]) => name === writer);
  if (own !== undefined) return own[1] === generation;
  // It is not there. Writers are forgotten oldest first: had it been there, an older one would have been forgotten before.
  const [oldest] = state.writers;
  const forgot = state.writers.length === WRITERS_MAX && (oldest as readonly [string, number])[1] > generation;
  return forgot ? undefined : false;
}

/** The names of all body files that a state needs. */
export function bodyFiles(objects: Objects): Set<string> {
  const files = new Set<string>();
  for (const { body } of objects.values()) if ("file" in body) files.add(body.file);
  return files;
}

/** The keys that start with the prefix, in byte order. */
export function keysUnder(objects: Objects, prefix: string): string[] {
  return [...objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys);
}

// Rows, not an object by key: JavaScript would reorder keys that look like numbers and trip over `__proto__`.
export function encodeState({ generation, writers, objects }: State): string {
  return JSON.stringify({ format: 1, generation, writers, objects: [...objects] });
}

/** Throws StoreError of kind corrupt that names the file. */
export function decodeState(text: string, generation: number, path: string): State {
  try {
    const { format, generation: written, writers, objects } = JSON.parse(text);
    if (format !== 1 || written !== generation) throw new Error("its format or number is another");
    if (!Array.isArray(writers) || !Array.isArray(objects)) throw new Error("its lists are missing");
    for (const row of objects) checkRow(row);
    return { generation, writers, objects: new Map(objects) };
  } catch (cause) {
    throw new StoreError(`A generation file is not what this project wrote: ${path}`, {
      code: "STORE_CORRUPT",
      kind: "corrupt",
      cause,
      details: { path },
    });
  }
}

function checkRow(row: [string, StoredObject]): void {
  const [key, { etag, lastModifiedMs, size, metadata, body }] = row;
  const texts = [key, etag, "file" in body ? body.file : body.inline];
  const whole = texts.every((value) => typeof value === "string") && Number.isInteger(size);
  if (!whole || !Number.isFinite(lastModifiedMs) || typeof metadata !== "object") throw new Error("a row is broken");
}
