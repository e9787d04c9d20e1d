/**
 * Buckets and the versions in them: order, visibility, pages. Names in byte order; of one name the newest stamp first, and of
 * one stamp the one that came last.
 */
import { createHash } from "node:crypto";
import { bad } from "./refusal.js";

export interface Part {
  readonly number: number;
  readonly body: Buffer;
  readonly sha1: string;
  readonly stampMs: number;
}

export interface Version {
  readonly id: string;
  readonly bucketId: string;
  readonly name: string;
  action: "upload" | "hide" | "start";
  body: Buffer;
  sha1: string;
  readonly contentType: string;
  readonly info: Readonly<Record<string, string>>;
  readonly stampMs: number;
  readonly serial: number;
  /** From when listings that lag show it. */
  readonly landedMs: number;
  readonly parts: Map<number, Part>;
}

export const sha1 = (body: Buffer): string => createHash("sha1").update(body).digest("hex");
export const md5 = (body: Buffer): string => createHash("md5").update(body).digest("hex");

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export interface PageAsk {
  readonly startName: string | undefined;
  readonly startId: string | undefined;
  readonly count: number;
  readonly prefix: string;
  readonly delimiter: string | undefined;
}
export interface Folder {
  readonly folder: string;
}
export interface Page {
  readonly entries: readonly (Version | Folder)[];
  readonly next: { readonly name: string; readonly id: string | undefined } | undefined;
}

export class Bucket {
  revision = 1;
  readonly #byName = new Map<string, Version[]>();
  /** What was removed, for listings that lag. */
  readonly #gone: { readonly version: Version; readonly goneMs: number }[] = [];

  constructor(
    readonly id: string,
    readonly name: string,
    public type: string,
    public info: Readonly<Record<string, string>>,
    public lifecycleRules: readonly unknown[],
    public corsRules: readonly unknown[],
  ) {}

  get isEmpty(): boolean {
    return this.#byName.size === 0;
  }

  add(version: Version): void {
    const versions = this.#byName.get(version.name) ?? [];
    versions.push(version);
    versions.sort((a, b) => b.stampMs - a.stampMs || b.serial - a.serial);
    this.#byName.set(version.name, versions);
  }

  remove(version: Version, nowMs: number): void {
    const left = (this.#byName.get(version.name) ?? []).filter((other) => other !== version);
    if (left.length > 0) this.#byName.set(version.name, left);
    else this.#byName.delete(version.name);
    this.#gone.push({ version, goneMs: nowMs });
    if (this.#gone.length > 10_000) this.#gone.splice(0, 5_000);
  }

  /** All versions, unordered. */
  get all(): readonly Version[] {
    return [...this.#byName.values()].flat();
  }

  /** The newest version that is no unfinished file; undefined when that is a hide marker. */
  visible(name: string): Version | undefined {
    const newest = this.#byName.get(name)?.find(({ action }) => action !== "start");
    return newest?.action === "upload" ? newest : undefined;
  }

  hasName(name: string): boolean {
    return this.#byName.get(name)?.some(({ action }) => action !== "start") ?? false;
  }

  names(ask: PageAsk, asOfMs: number | undefined): Page {
    const entries: Version[] = [];
    for (const versions of this.#sorted(ask.prefix, asOfMs)) {
      const newest = versions.find(({ action }) => action !== "start");
      if (newest?.action === "upload") entries.push(newest);
    }
    const from = entries.filter(({ name }) => ask.startName === undefined || compare(name, ask.startName) >= 0);
    return cut(fold(from, ask), ask.count);
  }

  versions(ask: PageAsk, asOfMs: number | undefined): Page {
    const entries = this.#sorted(ask.prefix, asOfMs).flat();
    const { startName, startId } = ask;
    if (startName === undefined) return cut(fold(entries, ask), ask.count);
    // The version named may be gone by now: its id tells where it stood.
    const from = startId === undefined ? undefined : placeOf(startId);
    const at = entries.findIndex(({ name, stampMs, serial }) => {
      const order = compare(name, startName);
      if (order !== 0 || from === undefined) return order >= 0;
      return stampMs < from.stampMs || (stampMs === from.stampMs && serial <= from.serial);
    });
    return cut(fold(at < 0 ? [] : entries.slice(at), ask), ask.count);
  }

  #sorted(prefix: string, asOfMs: number | undefined): Version[][] {
    const groups = new Map<string, Version[]>();
    for (const [name, versions] of this.#byName) if (name.startsWith(prefix)) groups.set(name, versions);
    if (asOfMs !== undefined) {
      for (const [name, versions] of groups) {
        const then = versions.filter(({ landedMs }) => landedMs <= asOfMs);
        if (then.length > 0) groups.set(name, then);
        else groups.delete(name);
      }
      for (const { version, goneMs } of this.#gone) {
        if (goneMs <= asOfMs || version.landedMs > asOfMs || !version.name.startsWith(prefix)) continue;
        const group = [...(groups.get(version.name) ?? []), version];
        groups.set(
          version.name,
          group.sort((a, b) => b.stampMs - a.stampMs || b.serial - a.serial),
        );
      }
    }
    return [...groups].sort(([a], [b]) => compare(a, b)).map(([, versions]) => versions);
  }
}

function fold(versions: readonly Version[], { prefix, delimiter }: PageAsk): (Version | Folder)[] {
  if (delimiter === undefined) return [...versions];
  const entries: (Version | Folder)[] = [];
  for (const version of versions) {
    const at = version.name.indexOf(delimiter, prefix.length);
    if (at < 0) entries.push(version);
    else {
      const folder = version.name.slice(0, at + delimiter.length);
      const last = entries.at(-1);
      if (last === undefined || !("folder" in last) || last.folder !== folder) entries.push({ folder });
    }
  }
  return entries;
}

function cut(entries: readonly (Version | Folder)[], count: number): Page {
  const next = entries[count];
  if (next === undefined) return { entries, next: undefined };
  const position = "folder" in next ? { name: next.folder, id: undefined } : { name: next.name, id: next.id };
  return { entries: entries.slice(0, count), next: position };
}

/** https://www.backblaze.com/docs/cloud-storage-files */
export function checkName(name: unknown): string {
  if (typeof name !== "string" || name === "") throw bad("File names must contain at least one character");
  if (Buffer.byteLength(name) > 1024) throw bad("File name too long in utf8");
  if ([...name].some((character) => character.charCodeAt(0) < 32 || character.charCodeAt(0) === 127))
    throw bad("File names must not contain control characters");
  if (name.startsWith("/")) throw bad("File names must not start with '/'");
  if (name.endsWith("/")) throw bad("File names must not end with '/'");
  if (name.includes("//")) throw bad("File names must not contain '//'");
  if (name.split("/").some((segment) => Buffer.byteLength(segment) > 250))
    throw bad("File names must have at most 250 bytes of utf8 between slashes");
  return name;
}

const FILE_ID = /^4_z[0-9a-f]{24}_[fh][0-9a-f]{16}_d\d{8}_m\d{6}_c\d{3}_v\d{7}_t\d{4}$/;

export function checkFileId(id: unknown): string {
  if (typeof id !== "string" || !FILE_ID.test(id)) throw bad(`Invalid fileId: ${id}`);
  return id;
}

export function makeFileId(bucketId: string, serial: number, stampMs: number, pod: number): string {
  const [date, time] = new Date(stampMs).toISOString().replace(/[-:]/g, "").split("T") as [string, string];
  const number = serial.toString(16).padStart(16, "0");
  const ms = String(Math.abs(stampMs) % 1000).padStart(4, "0");
  return `4_z${bucketId}_f${number}_d${date}_m${time.slice(0, 6)}_c00${pod % 10}_v0001000_t${ms}`;
}

/** The order of a version, as its id has it. */
function placeOf(id: string): { stampMs: number; serial: number } {
  const parts = /_[fh]([0-9a-f]{16})_d(\d{4})(\d\d)(\d\d)_m(\d\d)(\d\d)(\d\d)_.*_t(\d{4})$/.exec(id);
  if (parts === null) throw bad(`Invalid fileId: ${id}`);
  const [year, month, day, hour, minute, second, ms] = parts.slice(2).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { stampMs: Date.UTC(year, month - 1, day, hour, minute, second, ms), serial: Number.parseInt(parts[1]!, 16) };
}
