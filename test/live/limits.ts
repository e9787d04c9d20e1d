/** What the real servers cannot take of the store conformance suite, with the reason: reported as skipped, never in silence. */
import type { ConformanceRunner, ConformanceTopic } from "@bucketlock/core/testing";
import { describe, it } from "vitest";
import type { ServerName } from "../servers/server.js";

interface Limits {
  readonly topics: Partial<Record<ConformanceTopic, string>>;
  /** By the start of a test's title: what no topic names. */
  readonly titles: Readonly<Record<string, string>>;
}

const paths = "keeps keys as paths, where a file is no directory";
const hidden = "does not list a/b while there is, or was, an object a";
const quotes = "If-Match with the quotes of the ETag never matches";

export const limits: Readonly<Record<ServerName, Limits>> = {
  minio: {
    topics: {
      "key: double slash": "refused with 400",
      "key: leading slash": "refused with 400",
      "nested-keys": hidden,
    },
    titles: { "lists by the exact prefix": hidden, "lists in the byte order of UTF-8": hidden },
  },
  rgw: {
    topics: {},
    titles: { "replaces only what still has the ETag": quotes, "lets exactly one of 16 replace": quotes },
  },
  versitygw: {
    topics: {
      "key: trailing slash": "a directory takes no data",
      "key: double slash": `${paths}: the slashes become one`,
      "key: leading slash": `${paths}: the slashes become one`,
      "key: control character": "lists U+FFFD in its place",
      "nested-keys": paths,
    },
    titles: {
      "lists in the byte order of UTF-8": paths,
      "lists by the exact prefix": paths,
      "lists each present object as the latest version": "its pages of versions begin at the start again",
    },
  },
};

/** Skips with the reason, which the rings' report shows. */
const skip = (name: string, reason: string): void => it(name, (context) => context.skip(reason));

/** The runner for one server: skips what no topic names by title. */
export function runnerFor(server: ServerName): ConformanceRunner {
  const test = (title: string, body: () => Promise<void>, timeoutMs?: number) => {
    const reason = Object.entries(limits[server].titles).find(([start]) => title.startsWith(start))?.[1];
    if (reason === undefined) it(title, body, timeoutMs);
    else skip(title, reason);
  };
  return { describe, it: Object.assign(test, { skip: it.skip }), skip };
}
