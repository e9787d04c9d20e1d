/**
 * Which room each source file belongs to. A new file is added here by hand: to say where it belongs is to say what it may
 * do. From the bottom up: `port` and `physics` (nothing of ours above them), `law` (pure decisions), `hands` (I/O),
 * `voice` (public verbs). `testing` is what we publish for tests; nothing else may import it.
 */

export type Room = "port" | "physics" | "law" | "hands" | "voice" | "testing";

/** Lower rooms first: a file imports from its own room and from those below. */
export const order: readonly Room[] = ["port", "physics", "law", "hands", "voice", "testing"];

export const packages = ["core", "lock", "b2"] as const;
export type PackageName = (typeof packages)[number];

/** Packages that a package may import. */
export const mayImport: Readonly<Record<PackageName, readonly PackageName[]>> = {
  core: [],
  lock: ["core"],
  b2: ["core"],
};

/** Paths below packages/<name>/src, without `.ts`. Everything below `testing/` is in the room of that name. */
export const rooms: Readonly<Record<PackageName, Readonly<Partial<Record<Room, readonly string[]>>>>> = {
  core: {
    port: ["store"],
    physics: ["builtin", "clock", "random"],
    law: [
      "backoff",
      "byte-order",
      "call-checks",
      "classify",
      "errors",
      "etag",
      "identity",
      "file-state",
      "options",
      "probe-conditions",
      "probe-judge",
      "probe-observations",
      "probe-prices",
      "probe-report",
      "probe-text",
      "probe-timestamps",
      "s3-documents",
      "body-check",
      "crc",
      "object-facts",
      "object-options",
      "retry-budget",
      "xml-uploads",
      "s3-endpoint",
      "s3-errors",
      "s3-presign",
      "s3-requests",
      "s3-settings",
      "server-clock",
      "shared-config",
      "sigv4",
      "uri",
      "xml",
    ],
    hands: [
      "call-limit",
      "credential-chain",
      "credentials",
      "file-disk",
      "file-generations",
      "file-layout",
      "file-store",
      "http-connection",
      "memory-store",
      "origins",
      "probe",
      "probe-bench",
      "probe-cache",
      "probe-experiments",
      "probe-run",
      "probe-verbs",
      "process-credentials",
      "request",
      "s3-buckets",
      "s3-calls",
      "s3-config",
      "s3-copy",
      "s3-delete",
      "s3-exchange",
      "s3-list",
      "s3-listing",
      "s3-multi-delete",
      "s3-object-lock",
      "s3-purge",
      "download",
      "object-stream",
      "s3-multipart",
      "s3-objects",
      "upload-source",
      "uploads",
      "s3-session",
      "s3-store",
      "shared-config-files",
    ],
    voice: ["index", "open-store", "siblings"],
  },
  lock: {
    law: [
      "conditional/liveness",
      "conditional/machine",
      "conditional/probed",
      "conditional/record",
      "conditional/rules",
      "election-rule",
      "errors",
      "events",
      "fence-rule",
      "permits",
      "once-rule",
      "schedule",
      "local/turns",
      "settings",
      "two-object/liveness",
      "two-object/machine",
      "two-object/ticket",
      "two-object/validity",
    ],
    hands: [
      "attempt",
      "conditional/bare-etags",
      "conditional/driver",
      "conditional/gate",
      "conditional/record-hands",
      "conditional/record-ticket",
      "finalizer",
      "held-ticket",
      "holding",
      "keeper",
      "revocation",
      "side-objects",
      "local/queue",
      "steady",
      "two-object/deletes",
      "two-object/driver",
      "two-object/objects",
      "two-object/revocations",
    ],
    voice: [
      "conditional/inspect",
      "cron",
      "election",
      "fence",
      "index",
      "inspect",
      "lease",
      "lock",
      "locks",
      "once",
      "revoke",
      "run-coordinator",
      "semaphore",
      "standing",
    ],
  },
  b2: {
    law: ["addresses", "answers", "b2-calls", "b2-classify", "b2-errors", "file-name"],
    hands: [
      "account",
      "authority",
      "b2-api",
      "b2-exchange",
      "b2-reader",
      "b2-session",
      "b2-store",
      "downloads",
      "large-file",
      "listings",
      "patience",
      "token-file",
      "upload-urls",
      "uploads",
    ],
    voice: ["index", "open-b2-store"],
  },
};

/** The only files that may name what is banned elsewhere. Paths below packages/. */
export const onlyTime = "core/src/clock.ts";
export const onlyChance = "core/src/random.ts";
export const onlyHttp = "core/src/request.ts";

/** Lines of code in a file, comments and blank lines not counted. Aim for 300 with them. */
export const codeLinesMax = 400;
/** Files that are longer with a reason. */
export const longer: Readonly<Record<string, number>> = {
  // The whole protocol in one place: what may follow what is only seen when it stands together.
  "lock/src/two-object/machine.ts": 480,
  "lock/src/conditional/machine.ts": 420,
};
