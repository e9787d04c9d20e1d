/** Single requests: ours beside undici's, in turns, on connections that are warm. */
import { list, RawClient } from "./raw.js";
import { Pairs, ratio, type Summary, summarize, timed } from "./statistics.js";
import { type S3Target, sessionOf, type Target } from "./targets.js";

export const verbs = ["PUT", "GET", "HEAD", "LIST", "DELETE"] as const;
export type Verb = (typeof verbs)[number];

export interface Compared {
  readonly ours: Summary;
  readonly raw: Summary;
  readonly ratio: number;
}
/** The same by undici, but signed beforehand; and ours over that. */
export interface Signed {
  readonly raw: Summary;
  readonly ratio: number;
}
export interface RequestsResult {
  /** How the raw requests were let in. */
  readonly raw: "unsigned" | "presigned";
  readonly verbs: Readonly<Record<Verb, Compared>>;
  readonly signedPut: Signed;
}

const WARM_UP_ROUNDS = 50;

export async function measureRequests(target: Target, s3: S3Target, seconds: number): Promise<RequestsResult> {
  const raw = new RawClient(s3);
  await using session = sessionOf(s3);
  try {
    const prefix = `${target.prefix}requests/`;
    await raw.begin(prefix, target.isOurs);
    const listed = `${prefix}listed/`;
    for (const name of ["a", "b"]) await session.putObject(`${listed}${name}`, "1");

    const pairs = Object.fromEntries(verbs.map((verb) => [verb, new Pairs()])) as Record<Verb, Pairs>;
    const signed: number[] = [];
    const round = async (n: number) => {
      const theirs = `${prefix}raw-${n}`;
      const ours = `${prefix}our-${n}`;
      const send = (method: "PUT" | "GET" | "HEAD" | "DELETE") => {
        const body = method === "PUT" ? { body: "1" } : {};
        const prepared = raw.prepare({ method, key: theirs, ...body });
        return () => raw.send(prepared);
      };
      const listing = raw.prepare(list(listed));
      await pairs.PUT.measure(() => session.putObject(ours, "1"), send("PUT"));
      const put = raw.prepare({ method: "PUT", key: `${prefix}signed-${n}`, body: "1", signed: true });
      signed.push(await timed(() => raw.send(put)));
      await pairs.GET.measure(() => session.getObject(ours), send("GET"));
      await pairs.HEAD.measure(() => session.headObject(ours), send("HEAD"));
      await pairs.LIST.measure(
        async () => {
          for await (const page of session.listObjects(listed)) void page;
        },
        () => raw.send(listing),
      );
      await pairs.DELETE.measure(() => session.deleteObject({ key: ours }), send("DELETE"));
    };

    for (let n = 0; n < WARM_UP_ROUNDS; n++) await round(n);
    for (const pair of Object.values(pairs)) pair.clear();
    signed.length = 0;
    const untilMs = performance.now() + seconds * 1000;
    for (let n = WARM_UP_ROUNDS; performance.now() < untilMs; n++) await round(n);
    const results = verbs.map((verb) => [verb, compare(pairs[verb])] as const);
    return {
      raw: raw.isUnsigned ? "unsigned" : "presigned",
      verbs: Object.fromEntries(results) as Record<Verb, Compared>,
      signedPut: besides(summarize(pairs.PUT.ours), signed),
    };
  } finally {
    await raw.close();
  }
}

export function besides(ours: Summary, signed: readonly number[]): Signed {
  const raw = summarize(signed);
  return { raw, ratio: ratio(ours, raw) };
}

export function compare(pairs: Pairs): Compared {
  const ours = summarize(pairs.ours);
  const raw = summarize(pairs.raw);
  return { ours, raw, ratio: ratio(ours, raw) };
}
