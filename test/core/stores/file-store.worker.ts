/**
 * One of many processes on one file store: counts up by compare-and-swap, races to create, rewrites, reads and lists,
 * until it is told to stop. Tells every acknowledged step in a line of JSON before it takes the next; ends with an error at
 * the first thing it sees that must not be.
 */
import assert from "node:assert/strict";
import { openFileStore } from "@bucketlock/core";
import { collect } from "./collect.js";

const [dir, me] = process.argv.slice(2) as [string, string];
const BIG_BYTES = 6000;

const store = openFileStore({ dir });
const told = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

async function countUp(): Promise<void> {
  const got = await store.get("counter");
  assert.ok(got.found && got.etag);
  const next = Number(Buffer.from(got.body).toString()) + 1;
  const answer = await store.put("counter", String(next), { condition: { etag: got.etag } });
  told({ is: "increment", outcome: answer.outcome, next });
}

async function create(round: number): Promise<void> {
  const answer = await store.put(`create/${round}`, me, { condition: { absent: true } });
  told({ is: "create", outcome: answer.outcome, round });
}

async function rewrite(round: number): Promise<void> {
  await store.put("steady/rewritten", String(round));
  await store.put(`big/${me}`, String.fromCharCode(97 + (round % 26)).repeat(BIG_BYTES));
  if (round % 5 === 0) await store.delete({ key: `big/${me}` });
}

async function look(): Promise<void> {
  const keys = (await collect(store.list("steady/", { pageSize: 2 }))).flatMap((page) => page.objects);
  assert.deepEqual(
    keys.map((object) => object.key),
    ["steady/first", "steady/last", "steady/rewritten"],
  );
  for await (const page of store.list("big/")) {
    for (const { key } of page.objects) {
      const got = await store.get(key);
      if (!got.found) continue;
      const text = Buffer.from(got.body).toString();
      assert.ok(text.length === BIG_BYTES && text === (text[0] as string).repeat(BIG_BYTES), `${key}: a torn body`);
    }
  }
}

let stopped = false;
process.stdin.on("data", () => {
  stopped = true;
});

told({ is: "ready" });
for (let round = 0; !stopped; round++) {
  for (let i = 0; i < 3; i++) await countUp();
  await create(round);
  await rewrite(round);
  await look();
}
told({ is: "done" });
process.stdin.destroy();
