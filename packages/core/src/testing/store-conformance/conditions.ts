/**
 * Conformance: conditional writes. Atomic under races, never silently ignored.
 */
import assert from "node:assert/strict";
import type { PutAnswer } from "../../store.js";
import type { ConformanceTest, Room } from "./room.js";

const RACERS = 16;
const RACES = 5;

async function outcome(answer: Promise<PutAnswer>): Promise<string> {
  return (await answer).outcome;
}

/** All at once, each with a body of its own: exactly one may win, and what is there afterwards must be the winner's. */
async function race(room: Room, name: string, put: (body: string) => Promise<PutAnswer>): Promise<void> {
  const bodies = Array.from({ length: RACERS }, (_, i) => `racer ${i}`);
  const answers = await Promise.all(bodies.map(put));
  const text = await room.text(name);
  const won = bodies.filter((_, i) => answers[i]?.outcome === "stored");
  const mayHaveWon = bodies.filter((_, i) => answers[i]?.outcome !== "conflict");
  assert.ok(won.length <= 1, `${won.length} of ${RACERS} were told that they won`);
  if (won.length === 1) assert.equal(text, won[0]);
  else assert.ok(mayHaveWon.includes(text ?? ""), `all were told that they lost, and there is ${text}`);
}

export const conditionTests: readonly ConformanceTest[] = [
  {
    title: "creates only what is absent",
    topic: "conditional-writes",
    async run(room) {
      const key = room.key("k");
      const condition = { absent: true } as const;
      assert.equal(await outcome(room.store.put(key, "one", { condition })), "stored");
      assert.equal(await outcome(room.store.put(key, "two", { condition })), "conflict");
      assert.equal(await room.text("k"), "one");
      await room.store.delete({ key });
      assert.equal(await outcome(room.store.put(key, "three", { condition })), "stored");
      assert.equal(await room.text("k"), "three");
    },
  },
  {
    title: "replaces only what still has the ETag",
    topic: "conditional-writes",
    async run(room) {
      const key = room.key("k");
      const replace = (body: string, etag: string | undefined) => {
        assert.ok(etag !== undefined, "an object without an ETag");
        return outcome(room.store.put(key, body, { condition: { etag } }));
      };
      await room.put("k", "one");
      const first = (await room.head("k")).etag;
      assert.equal(await replace("two", first), "stored");
      assert.equal(await replace("three", first), "conflict");
      assert.equal(await room.text("k"), "two");
      const second = (await room.list("k"))[0]?.etag ?? (await room.head("k")).etag;
      assert.equal(await replace("four", second), "stored");
      await room.store.delete({ key });
      assert.equal(await replace("five", second), "conflict");
      assert.equal((await room.store.head(key)).found, false);
    },
  },
  {
    title: `lets exactly one of ${RACERS} create, ${RACES} times`,
    topic: "conditional-writes",
    async run(room) {
      for (let round = 0; round < RACES; round++) {
        await race(room, `r${round}`, (body) =>
          room.store.put(room.key(`r${round}`), body, { condition: { absent: true } }),
        );
      }
    },
  },
  {
    title: `lets exactly one of ${RACERS} replace, ${RACES} times`,
    topic: "conditional-writes",
    async run(room) {
      await room.put("k", "start");
      for (let round = 0; round < RACES; round++) {
        const { etag } = await room.head("k");
        assert.ok(etag !== undefined, "an object without an ETag");
        await race(room, "k", (body) => room.store.put(room.key("k"), `${body}`, { condition: { etag } }));
        await room.put("k", `round ${round}`);
      }
    },
  },
];
