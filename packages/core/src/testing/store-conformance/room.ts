/**
 * What one conformance test works in: a store, keys below the prefix it may use, and what most tests need of both.
 * Never touches a key outside its prefix.
 */
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../clock.js";
import { InvalidError } from "../../errors.js";
import type {
  DeleteTarget,
  ListedObject,
  ListedVersion,
  ListOptions,
  PutOptions,
  PutStored,
  Store,
} from "../../store.js";

/** What can be left out, with the reason in words: a server's limits, told aloud. */
export type ConformanceTopic = "conditional-writes" | "versions" | "metadata" | "nested-keys" | `key: ${OddKey}`;

export type OddKey = keyof typeof ODD_KEYS;

/** Keys that S3 takes and that something on the way tends to trip over. */
export const ODD_KEYS = {
  spaces: " two  spaces ",
  percent: "100% %25 %2F",
  plus: "1+1=2",
  "question mark": "what?x=1&y=2",
  hash: "a#b",
  "XML characters": "<a>&amp;\"'</a>",
  "sub-delimiters": "!$&'()*,;:@~",
  backslash: "a\\b|c^`{}",
  "trailing slash": "folder/",
  "double slash": "a//b",
  "leading slash": "/a",
  emoji: "lock-🔒-é-日本",
  "two forms of é": "e\u0301 \u00e9",
  "number-like": "00123",
  prototype: "__proto__",
  dots: "...a/.b/c..",
  newline: "line\nbreak\ttab",
  "control character": "bell\u0007",
} as const;

export class Room {
  constructor(
    readonly store: Store,
    readonly prefix: string,
    readonly rounds: number,
    readonly clock: Clock = systemClock,
  ) {}

  key(name: string): string {
    return `${this.prefix}${name}`;
  }

  /** A put that must be stored. */
  async put(name: string, body: Uint8Array | string = "x", options: PutOptions = {}): Promise<PutStored> {
    const answer = await this.store.put(this.key(name), body, options);
    assert.equal(answer.outcome, "stored", `put ${name}`);
    return answer as PutStored;
  }

  /** The body as text, undefined when the object is absent. */
  async text(name: string): Promise<string | undefined> {
    const answer = await this.store.get(this.key(name));
    return answer.found ? Buffer.from(answer.body).toString() : undefined;
  }

  async head(name: string) {
    const answer = await this.store.head(this.key(name));
    assert.ok(answer.found, `head ${name}: absent`);
    return answer;
  }

  async list(prefix = "", options: ListOptions = {}): Promise<ListedObject[]> {
    const objects: ListedObject[] = [];
    for await (const page of this.store.list(this.key(prefix), options)) objects.push(...page.objects);
    return objects;
  }

  /** The listed keys without the prefix. */
  async names(prefix = "", options: ListOptions = {}): Promise<string[]> {
    return (await this.list(prefix, options)).map((object) => object.key.slice(this.prefix.length));
  }

  async versions(prefix = "", options: ListOptions = {}): Promise<ListedVersion[]> {
    const versions: ListedVersion[] = [];
    for await (const page of this.store.listVersions(this.key(prefix), options)) versions.push(...page.versions);
    return versions;
  }

  /** Removes everything below the prefix, versions and markers too, and proves it. */
  async empty(): Promise<void> {
    // A write whose caller gave up may land after the first look.
    for (let tries = 0; tries < 5; tries++) {
      const targets = (await this.versions()).map(({ key, versionId }): DeleteTarget => ({ key, versionId }));
      if (targets.length === 0) break;
      const { failed } = await this.store.deleteMany(targets);
      assert.deepEqual(failed, []);
    }
    assert.deepEqual(await this.versions(), [], "versions left behind");
    assert.deepEqual(await this.list(), [], "objects left behind");
  }
}

/** The call is refused for its arguments: an InvalidError, as a rejection. */
export async function refused(promise: Promise<unknown>, what: string): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof InvalidError, `not refused: ${what}`);
}

/** Runs the iteration to its end: an iteration does nothing before it is asked. */
export async function drain(pages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of pages);
}

export interface ConformanceTest {
  readonly title: string;
  /** Left out when the caller says that the store cannot do it. */
  readonly topic?: ConformanceTopic;
  run(room: Room): Promise<void>;
}
