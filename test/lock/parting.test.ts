/** How those who can do nothing any more leave a record: one write for each sighting of it, under that sighting's ETag. */
import { openS3Session } from "@bucketlock/core";
import { RecordingStore } from "@bucketlock/core/testing";
import { expect, test } from "vitest";
import { withForm } from "../../packages/lock/src/conditional/bare-etags.js";
import type { Stored } from "../../packages/lock/src/conditional/machine.js";
import { partingOf, partingWrites } from "../../packages/lock/src/conditional/parting.js";
import { decode, EMPTY, join, type LockRecord } from "../../packages/lock/src/conditional/record.js";

const entry = (id: string) => ({ id, mode: "exclusive" as const, label: "l", leaseMs: 3000, atMs: 1 });
const seen = (record: LockRecord, etag: string): Stored => ({ record, etag, lastModifiedMs: 1 });
const one = { ...join({ ...EMPTY, confirmed: true }, entry("a")), writeId: "w1" };
const two = { ...join(one, entry("b")), writeId: "w2" };
const three = { ...join(two, entry("c")), writeId: "w3" };

test("all of a process leave together, by the latest sighting of any; the next in line is granted", () => {
  const partings = [
    partingOf("k", "a", true, seen(one, '"1"'), () => "x")!,
    partingOf("k", "b", false, seen(three, '"3"'), () => "y")!,
  ];
  const writes = partingWrites(partings);
  expect(writes.map(({ objectKey, etag }) => [objectKey, etag])).toEqual([
    ["k.lock.record", '"1"'],
    ["k.lock.record", '"3"'],
  ]);
  const [early, late] = writes.map(({ body }) => decode("k", body));
  expect(early).toMatchObject({ holders: [], queue: [], token: 1n, writeId: "x" });
  expect(late).toMatchObject({ holders: [{ id: "c", token: 2n, granted: true }], queue: [], token: 2n, writeId: "y" });
});

test("who does not stand in what was seen leaves nothing; another lock is another write", () => {
  expect(partingOf("k", "b", true, seen(one, '"1"'), () => "x")).toBeUndefined();
  expect(partingOf("k", "b", true, undefined, () => "x")).toBeUndefined();
  const both = ["k", "l"].map((key) => partingOf(key, "a", true, seen(one, '"1"'), () => key)!);
  expect(partingWrites(both).map(({ objectKey }) => objectKey)).toEqual(["k.lock.record", "l.lock.record"]);
});

test("only who won has looked for the other protocol", () => {
  const raw = seen({ ...one, confirmed: false }, '"1"');
  for (const won of [false, true]) {
    const [write] = partingWrites([partingOf("k", "a", won, raw, () => "x")!]);
    expect(decode("k", write!.body).confirmed).toBe(won);
  }
});

test("the plan of an S3 store binds the ETag to the URL, in the form that the bucket honours", async () => {
  const options = { endpoint: "http://localhost:1", region: "r", bucket: "bucket" };
  const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret-of-the-test" };
  const plans = [false, true].flatMap((bareIfMatch) => {
    const session = openS3Session({ ...options, credentials, bareIfMatch });
    const store = session.store({ prefix: "p/" });
    const bare = withForm(new RecordingStore(store), { bareInWrites: true, bareInReads: false });
    return [store, bare].map((from) => from.planPut!("k", "{}", '"e"')!);
  });
  const matches = plans.map((plan) => (plan.kind === "http-put" ? plan.headers["if-match"] : undefined));
  expect(matches).toEqual(['"e"', "e", "e", "e"]);
  for (const plan of plans) {
    expect(plan).toMatchObject({ kind: "http-put", body: "{}" });
    expect(JSON.stringify(plan)).not.toContain("secret-of-the-test");
    const url = new URL((plan as { url: string }).url);
    expect(url.pathname).toBe("/bucket/p/k");
    expect(url.searchParams.get("X-Amz-SignedHeaders")).toBe("content-type;host;if-match");
  }
});
