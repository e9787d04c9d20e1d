/**
 * Answers that were tampered with, for a fixed number of seeds (BUCKETLOCK_FUZZ, BUCKETLOCK_SEED). Two kinds: changes that
 * leave the meaning, after which the reading must be what it was; and changes that do not, after which there is a typed fault
 * or a well-formed answer, never another error and never half an answer.
 */
import { createHash } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { retryAfterMs } from "../../packages/core/src/backoff.js";
import { bodyCheck } from "../../packages/core/src/body-check.js";
import { parseInstantMs } from "../../packages/core/src/clock.js";
import { BucketlockError, openS3Session, type S3Session } from "../../packages/core/src/index.js";
import { contentRange, count } from "../../packages/core/src/object-facts.js";
import { loadXmlReader } from "../../packages/core/src/s3-exchange.js";
import { parseSections } from "../../packages/core/src/shared-config.js";
import { ALGORITHMS, checksum } from "../emulators/s3/checksums.js";
import { S3Emulator } from "../emulators/s3/emulator.js";
import { damage, damaged, tried } from "./damage.js";

const RUNS = Number(process.env.BUCKETLOCK_FUZZ ?? 1_000);
const options = { numRuns: RUNS, seed: Number(process.env.BUCKETLOCK_SEED ?? 20_261_121) };
const reader = await loadXmlReader();

// -- Documents whose right reading is known ------------------------------------------------------------------------------

interface Entry {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly ms: number;
}
/** How a document is written, where that must not matter. */
interface Manner {
  /** One number per choice, used in turn. */
  readonly dice: readonly number[];
  readonly encoding: "url" | "none" | "empty";
}

const key = fc
  .array(
    fc.constantFrom(
      "a",
      "Z",
      "0",
      "00123",
      " ",
      "/",
      "%",
      "+",
      "&",
      "<",
      ">",
      '"',
      "'",
      "]]>",
      "é",
      "日",
      "😀",
      "true",
      "-",
    ),
    {
      minLength: 1,
      maxLength: 10,
    },
  )
  .map((parts) => parts.join(""));
const entry: fc.Arbitrary<Entry> = fc.record({
  key,
  size: fc.oneof(fc.nat(5), fc.integer({ min: 0, max: 5 * 2 ** 40 })),
  etag: fc.constantFrom('"0cc175b9c0f1b6a831c399e269772661"', '"00123-2"', "plain", ""),
  ms: fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000),
});
const manner: fc.Arbitrary<Manner> = fc.record({
  dice: fc.array(fc.nat(1000), { minLength: 64, maxLength: 64 }),
  encoding: fc.constantFrom("url", "none", "empty"),
});

class Writer {
  #at = 0;
  constructor(readonly manner: Manner) {}

  pick<T>(...from: readonly T[]): T {
    const { dice } = this.manner;
    return from[dice[this.#at++ % dice.length]! % from.length]!;
  }

  /** Any of the ways to write a character. */
  text(value: string): string {
    return [...value]
      .map((character) => {
        const point = character.codePointAt(0)!;
        const named = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" }[character];
        const coded = [`&#${point};`, `&#x${point.toString(16)};`, `&#x${point.toString(16).toUpperCase()};`];
        return this.pick(named ?? character, named ?? character, ...coded);
      })
      .join("");
  }

  gap(): string {
    return this.pick("", "", "\n", "  ", "\t\r\n", "<!-- a comment -->", "<Unknown>x</Unknown>", "<Unknown/>");
  }

  element(name: string, inner: string): string {
    return `<${name}${this.pick("", "", " ", ' a="b"', "\n x:y='1&amp;2'")}>${inner}</${name}${this.pick("", " ")}>`;
  }

  /** The parts of an element in any order. */
  mixed(parts: string[]): string {
    const left = [...parts];
    let made = "";
    while (left.length > 0) made += this.gap() + left.splice(this.pick(0, 1, 2, 3) % left.length, 1)[0];
    return made + this.gap();
  }

  document(root: string, inner: string): Buffer {
    const head = this.pick("", '<?xml version="1.0" encoding="UTF-8"?>', "<?xml version='1.0'?>\n", "\n", "<!-- c -->");
    const start = head === "\n" || head.startsWith("<?") || head === "" ? head : `${head}\n`;
    return Buffer.from(`${start}${this.element(root, inner)}${this.pick("", "\n", "<!-- end -->")}`);
  }

  key(value: string): string {
    if (this.manner.encoding !== "url") return this.text(value);
    const encoded = encodeURIComponent(value);
    return this.text(this.pick(encoded, encoded.replaceAll("%20", "+"), encoded.replaceAll("%2F", "/")));
  }

  encodingType(): string[] {
    const { encoding } = this.manner;
    return encoding === "none" ? [] : [this.element("EncodingType", encoding === "url" ? "url" : "")];
  }

  instant(ms: number): string {
    const iso = new Date(ms).toISOString();
    const local = new Date(ms + 5_400_000).toISOString();
    return this.pick(
      iso,
      iso.replace(".000Z", "Z"),
      iso.replace("Z", "999Z").replace(".000999", ".000000"),
      local.replace("Z", "+01:30"),
    );
  }
}

function listing(writer: Writer, entries: readonly Entry[], token: string | undefined): Buffer {
  const contents = entries.map(({ key, size, etag, ms }) =>
    writer.element(
      "Contents",
      writer.mixed([
        writer.element("Key", writer.key(key)),
        writer.element("Size", String(size)),
        writer.element("ETag", writer.text(etag)),
        writer.element("LastModified", writer.instant(ms)),
      ]),
    ),
  );
  // Entries keep their order among themselves.
  const rest = [
    writer.element("IsTruncated", String(token !== undefined)),
    ...writer.encodingType(),
    ...(token === undefined ? [] : [writer.element("NextContinuationToken", writer.text(token))]),
  ];
  return writer.document("ListBucketResult", writer.mixed(rest) + contents.map((one) => one + writer.gap()).join(""));
}

describe("XML that means the same is read the same", () => {
  it("a listing of objects", () => {
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 5 }),
        fc.option(key, { nil: undefined }),
        manner,
        (entries, token, how) => {
          const document = listing(new Writer(how), entries, token);
          const read = reader.objects(document);
          expect(read, document.toString()).toMatchObject({
            objects: entries.map(({ key, size, etag, ms }) => ({ key, size, etag, lastModifiedMs: ms })),
            ...(token !== undefined && { nextToken: token }),
          });
          expect(read.nextToken).toBe(token);
        },
      ),
      options,
    );
  });

  it("an error", () => {
    const word = fc.constantFrom("NoSuchKey", "SlowDown", "00123", "a b");
    fc.assert(
      fc.property(word, key, manner, (code, message, how) => {
        const writer = new Writer(how);
        const parts = [writer.element("Code", writer.text(code)), writer.element("Message", writer.text(message))];
        expect(reader.error(writer.document("Error", writer.mixed(parts)))).toMatchObject({ code, message });
      }),
      options,
    );
  });

  it("the answer of a delete of many", () => {
    fc.assert(
      fc.property(fc.array(key, { maxLength: 4 }), fc.array(key, { maxLength: 3 }), manner, (deleted, failed, how) => {
        const writer = new Writer(how);
        const inner = [
          ...deleted.map((one) => writer.element("Deleted", writer.mixed([writer.element("Key", writer.text(one))]))),
          ...failed.map((one) =>
            writer.element(
              "Error",
              writer.mixed([writer.element("Key", writer.text(one)), "<Code>AccessDenied</Code>"]),
            ),
          ),
        ];
        const read = reader.deleted(writer.document("DeleteResult", inner.join(writer.gap())));
        expect(read.deleted.map((one) => one.key)).toEqual(deleted);
        expect(read.failed.map((one) => [one.key, one.code])).toEqual(failed.map((one) => [one, "AccessDenied"]));
      }),
      options,
    );
  });
});

// -- Damage --------------------------------------------------------------------------------------------------------------

describe("XML that was damaged", () => {
  it("cut off anywhere is a fault, and never the half that came", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), manner, fc.nat(100_000), (entries, how, where) => {
        const document = listing(new Writer(how), entries, undefined);
        const whole = reader.objects(document);
        const cut = document.subarray(0, where % document.length);
        const read = tried(() => reader.objects(cut));
        if (read !== "fault") expect(read).toEqual(whole);
        // Only what stands behind the last tag may be missing.
        if (read !== "fault") expect(cut.toString()).toContain("</ListBucketResult");
      }),
      options,
    );
  });

  it("without one of its tags, or with one misspelt, is a fault", () => {
    const TAG = /<\/?(?:ListBucketResult|Contents|Key|Size|ETag|LastModified|IsTruncated)[^>]*>/g;
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 3 }), manner, fc.nat(1000), fc.boolean(), (...drawn) => {
        const [entries, how, where, isMisspelt] = drawn;
        const document = listing(new Writer(how), entries, undefined).toString();
        const tags = [...document.matchAll(TAG)];
        const { 0: tag, index } = tags[where % tags.length]!;
        const instead = isMisspelt ? tag.replace(/^<\/?/, "$&x") : "";
        const without = document.slice(0, index) + instead + document.slice(index + tag.length);
        expect(
          tried(() => reader.objects(Buffer.from(without))),
          without,
        ).toBe("fault");
      }),
      options,
    );
  });

  it("in any other way is a fault or a well-formed answer", () => {
    let faults = 0;
    let answers = 0;
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), manner, damage, (entries, how, what) => {
        const document = damaged(listing(new Writer(how), entries, "token"), what);
        const read = tried(() => reader.objects(document));
        tried(() => reader.error(document));
        tried(() => reader.versions(document));
        tried(() => reader.deleted(document));
        if (read === "fault") {
          faults++;
          return;
        }
        answers++;
        for (const { key, size, lastModifiedMs, etag } of read.objects) {
          expect(typeof key).toBe("string");
          expect(Number.isSafeInteger(size) && size >= 0).toBe(true);
          expect(Number.isSafeInteger(lastModifiedMs)).toBe(true);
          expect(["string", "undefined"]).toContain(typeof etag);
        }
        expect(read.nextToken === undefined || read.nextToken.length > 0).toBe(true);
      }),
      options,
    );
    // It would be no test if the damage were always or never seen.
    expect(faults).toBeGreaterThan(RUNS / 4);
    expect(answers).toBeGreaterThan(RUNS / 100);
  });
});

describe("a session with a server that sends damage", () => {
  let emulator: S3Emulator;
  let session: S3Session;
  beforeAll(async () => {
    emulator = await S3Emulator.start();
    session = openS3Session({
      endpoint: emulator.endpoint,
      region: emulator.region,
      bucket: emulator.bucket,
      credentials: emulator.keys,
      random: { float: () => 0, hex: (count) => "0".repeat(count * 2) },
    });
    for (const key of ["a", "b c", "d/e"]) await session.putObject(key, key);
  });
  afterAll(async () => {
    await session.close();
    await emulator.stop();
  });

  it("lists, or says why not", async () => {
    const before = emulator.seen.length;
    await fc.assert(
      fc.asyncProperty(damage, fc.constantFrom(200, 400, 403, 404, 500, 503), async (what, status) => {
        emulator.script("GET", { kind: "edit", edit: (body) => damaged(Buffer.from(body), what).toString("latin1") });
        if (status !== 200)
          emulator.script("GET", { kind: "reply", status, body: damaged(ERROR, what).toString("latin1") });
        const keys: unknown[] = [];
        try {
          for await (const { objects } of session.listObjects("")) keys.push(...objects.map(({ key }) => key));
          expect(keys.every((key) => typeof key === "string")).toBe(true);
        } catch (error) {
          expect(error, inspect(error)).toBeInstanceOf(BucketlockError);
          expect((error as BucketlockError).code).toMatch(/^STORE_/);
        }
      }),
      { ...options, numRuns: Math.ceil(RUNS / 4) },
    );
    expect(emulator.seen.length - before).toBeGreaterThanOrEqual(RUNS / 4);
    // It is well afterwards: what was scripted and not asked for is used up first.
    for (let left = 0; left < RUNS; left++) {
      const keys: string[] = [];
      try {
        for await (const { objects } of session.listObjects("")) keys.push(...objects.map(({ key }) => key));
      } catch {
        continue;
      }
      if (keys.length === 3) return;
    }
    throw new Error("the session never listed again");
  }, 60_000);

  it("takes odd headers for what they are", async () => {
    const odd = fc.constantFrom(
      "",
      " ",
      "soon",
      "-1",
      "1e9",
      "9".repeat(400),
      "Thu, 01 Jan 1970",
      '"',
      "bytes 0-/",
      "%%",
      "ü",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.record(
          { date: odd, etag: odd, "last-modified": odd, "x-amz-version-id": odd, "x-amz-request-id": odd },
          { requiredKeys: [] },
        ),
        async (headers) => {
          const given = Object.fromEntries(Object.entries(headers).filter(([, text]) => text !== undefined));
          emulator.script("HEAD", { kind: "reply", status: 200, headers: given as Record<string, string> });
          const head = await session.headObject("a").catch((error: unknown) => {
            expect(error, inspect(error)).toBeInstanceOf(BucketlockError);
            return undefined;
          });
          if (head === undefined || !head.found) return;
          // No date of these is one: better none than a wrong one.
          expect(head.lastModifiedMs === undefined || "last-modified" in given === false).toBe(true);
        },
      ),
      { ...options, numRuns: Math.ceil(RUNS / 10) },
    );
    expect(await session.headObject("a")).toMatchObject({ found: true });
  });
});

const ERROR = Buffer.from(
  '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code><Message>no &amp; no</Message><RequestId>R</RequestId></Error>',
);

// -- Headers and files ---------------------------------------------------------------------------------------------------

describe("dates", () => {
  const at = fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000);
  const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

  it("of every form are read", () => {
    fc.assert(
      fc.property(at, (ms) => {
        const date = new Date(ms);
        const imf = date.toUTCString();
        const iso = date.toISOString();
        const [, day, month, year, time] = /^\w+, (\d\d) (\w+) (\d+) ([\d:]+) GMT$/.exec(imf)!;
        const asctime = `${imf.slice(0, 3)} ${month} ${day!.replace(/^0/, " ")} ${time} ${year}`;
        for (const text of [imf, ` ${imf} `, iso, iso.replace(".000Z", "Z"), iso.replace(".000Z", "+00:00"), asctime])
          expect(parseInstantMs(text), text).toBe(ms);
        // Two digits of a year are the nearest century's.
        const short = `${DAYS[date.getUTCDay()]}, ${day}-${month}-${year!.slice(2)} ${time} GMT`;
        if (ms >= Date.UTC(1970, 0, 1) && ms < Date.UTC(2049, 0, 1)) expect(parseInstantMs(short), short).toBe(ms);
      }),
      options,
    );
  });

  it("that are none are not read as one", () => {
    const wrong = [
      "soon 2099",
      "foo 1",
      "12",
      "2026",
      "2026-02-31T00:00:00Z",
      "Thu, 01 Jan 2026 00:00:02",
      "2026-01-01T00:00:00",
      "2026-13-01T00:00:00Z",
      "2026-01-01T25:00:00Z",
      "2026-01-01",
      "Thu, 31 Feb 2026 00:00:00 GMT",
      "1e3",
      "0",
      "-1",
      "Thu, 01 Jan 2026 00:00:02 PST",
    ];
    for (const text of wrong) expect(parseInstantMs(text), text).toBeUndefined();
    fc.assert(
      fc.property(at, damage, (ms, what) => {
        const text = damaged(Buffer.from(new Date(ms).toUTCString()), what).toString("latin1");
        const read = parseInstantMs(text);
        // Whatever is still read as a date is written as one.
        if (read !== undefined)
          expect(text.trim()).toMatch(/^(?:\w{3}, )?\d\d? \w{3} \d{4} \d\d:\d\d:\d\d (?:GMT|UTC)$/);
      }),
      options,
    );
  });
});

it("Retry-After is a time to wait or nothing", () => {
  const now = Date.UTC(2026, 0, 1);
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 12 }),
        fc.nat().map(String),
        fc.constantFrom("1.5", "+3", "0x10", "1e3", "Infinity"),
      ),
      (text) => {
        const waitMs = retryAfterMs(text, now, parseInstantMs);
        if (waitMs === undefined) return;
        expect(Number.isSafeInteger(waitMs) && waitMs >= 0).toBe(true);
        if (/^\s*\d+\s*$/.test(text)) expect(waitMs).toBe(Number(text) * 1000);
        else expect(parseInstantMs(text)).toBe(now + waitMs);
      },
    ),
    options,
  );
});

describe("a body and what its answer says of it", () => {
  it("has the checksum that is named, in whatever pieces it comes, and not with one bit wrong", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ALGORITHMS, "md5" as const),
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.nat(200), { maxLength: 4 }),
        fc.nat(10_000),
        (name, data, cuts, flip) => {
          const body = Buffer.from(data);
          const said =
            name === "md5"
              ? { etag: `"${createHash("md5").update(body).digest("hex")}"`, "x-amz-request-id": "1" }
              : { [`x-amz-checksum-${name}`]: checksum(name, body) };
          const differs = (bytes: Buffer) => {
            const check = bodyCheck((header) => (said as Record<string, string>)[header], "bucket")!;
            let from = 0;
            for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
              check.update(bytes.subarray(from, cut));
              from = cut;
            }
            return check.differs()?.toLowerCase();
          };
          expect(differs(body)).toBeUndefined();
          if (body.length === 0) return;
          body[flip % body.length]! ^= 1 << (flip % 8);
          expect(differs(body)).toBe(name);
        },
      ),
      options,
    );
  });

  it("is where Content-Range says, or nowhere", () => {
    const number = fc.oneof(fc.nat(20), fc.integer({ min: 0, max: 2 ** 45 }));
    fc.assert(
      fc.property(number, number, fc.option(number, { nil: undefined }), damage, (start, end, total, what) => {
        const text = `bytes ${start}-${end}/${total ?? "*"}`;
        const isSound = start <= end && (total === undefined || end < total);
        expect(contentRange(text)).toEqual(isSound ? { start, end, total } : undefined);
        const read = contentRange(damaged(Buffer.from(text), what).toString("latin1"));
        if (read === undefined) return;
        expect(read.start <= read.end && read.end < (read.total ?? Number.POSITIVE_INFINITY)).toBe(true);
      }),
      options,
    );
  });

  it("is as long as Content-Length says, or of no length", () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat().map(String), fc.string({ maxLength: 6 })), (text) => {
        expect(count(text)).toBe(/^\d+$/.test(text) ? Number(text) : undefined);
      }),
      options,
    );
  });
});

describe("shared configuration", () => {
  const word = fc.constantFrom("a", "region", "dev-1", "x_y", "s3", "ünï");
  const value = fc
    .constantFrom("1", "eu west", "a=b", "https://h/p?q=1", "x;y", "#no", "[v]")
    .filter((text) => !/^#/.test(text));
  const sections = fc.uniqueArray(
    fc.tuple(word, fc.uniqueArray(fc.tuple(word, value), { selector: ([name]) => name, maxLength: 4 })),
    {
      selector: ([name]) => name,
      maxLength: 4,
    },
  );

  it("is read the same however it is spaced and remarked", () => {
    fc.assert(
      fc.property(sections, manner, (all, how) => {
        const writer = new Writer(how);
        const noise = () => writer.pick("", "\n", "# remark = no\n", "; [no]\n", "  \n");
        const text = all
          .map(([name, settings]) => {
            const lines = settings.map(([setting, said]) => {
              const equals = writer.pick("=", " = ", "  =", "=\t");
              return `${setting}${equals}${said}${writer.pick("", " ", " # remark", " ; remark")}${writer.pick("\n", "\r\n")}${noise()}`;
            });
            return `${noise()}[${writer.pick("", " ")}${name}${writer.pick("", " ")}]${writer.pick("", " # remark")}\n${lines.join("")}`;
          })
          .join("");
        const read = parseSections(text);
        expect([...read.keys()], text).toEqual(all.map(([name]) => name));
        for (const [name, settings] of all) {
          expect([...read.get(name)!.settings], text).toEqual(settings);
          expect(read.get(name)!.badLine).toBeUndefined();
        }
      }),
      options,
    );
  });

  it("of any kind is read without an error", () => {
    const scrap = fc.constantFrom(
      "[",
      "]",
      "=",
      "\n",
      "\r",
      " ",
      "\t",
      "#",
      ";",
      "a",
      "profile",
      "s3",
      '"',
      "__proto__",
      "\0",
      "😀",
    );
    fc.assert(
      fc.property(fc.array(scrap, { maxLength: 40 }), (parts) => {
        for (const { settings } of parseSections(parts.join("")).values())
          for (const [name, said] of settings) expect([typeof name, typeof said]).toEqual(["string", "string"]);
      }),
      options,
    );
  });
});
