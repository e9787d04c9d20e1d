/**
 * Conformance: signals and time limits. The caller's own reason comes back unchanged, at any stage, from every verb.
 */
import assert from "node:assert/strict";
import { BucketlockError } from "../../errors.js";
import type { CallOptions } from "../../store.js";
import { type ConformanceTest, drain, type Room } from "./room.js";

function everyVerb(room: Room, options: CallOptions): Readonly<Record<string, () => Promise<unknown>>> {
  const { store } = room;
  const key = room.key("k");
  return {
    put: () => store.put(key, "x", options),
    get: () => store.get(key, options),
    head: () => store.head(key, options),
    list: () => drain(store.list(room.prefix, options)),
    listVersions: () => drain(store.listVersions(room.prefix, options)),
    delete: () => store.delete({ key }, options),
    deleteMany: () => store.deleteMany([{ key }], options),
  };
}

async function rejectsWith(promise: Promise<unknown>, reason: unknown, what: string): Promise<void> {
  const caught = await promise.then(
    () => assert.fail(`${what} went through`),
    (error: unknown) => error,
  );
  assert.equal(caught, reason, `${what} threw another reason`);
}

export const limitTests: readonly ConformanceTest[] = [
  {
    title: "throws the reason of a signal that is aborted already, and does nothing",
    async run(room) {
      await room.put("k", "kept");
      const reason = new Error("before");
      const verbs = everyVerb(room, { signal: AbortSignal.abort(reason) });
      for (const [verb, call] of Object.entries(verbs)) await rejectsWith(call(), reason, verb);
      assert.equal(await room.text("k"), "kept");
    },
  },
  {
    title: "throws the reason of a signal that aborts during the call, and goes on working",
    async run(room) {
      for (const reason of [new Error("during"), "a string", { an: "object" }]) {
        const verbs = Object.keys(everyVerb(room, {}));
        for (const verb of verbs) {
          const controller = new AbortController();
          const call = everyVerb(room, { signal: controller.signal })[verb]?.();
          controller.abort(reason);
          await rejectsWith(call ?? assert.fail(), reason, verb);
        }
      }
      // What was aborted may still land, so this looks at another key.
      await room.put("after", "works");
      assert.equal(await room.text("after"), "works");
      await room.clock.sleep(50);
    },
  },
  {
    title: "leaves no listener on the signal",
    async run(room) {
      const { signal } = new AbortController();
      let listeners = 0;
      const add = signal.addEventListener.bind(signal);
      const remove = signal.removeEventListener.bind(signal);
      signal.addEventListener = (...args: Parameters<typeof add>) => {
        listeners++;
        add(...args);
      };
      signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        listeners--;
        remove(...args);
      };
      for (const call of Object.values(everyVerb(room, { signal }))) await call();
      assert.ok(listeners <= 0, `${listeners} listeners left`);
    },
  },
  {
    title: "takes a time limit, and reports one that is over as an error of ours or an unknown outcome",
    async run(room) {
      for (const call of Object.values(everyVerb(room, { timeoutMs: 30_000 }))) await call();
      for (const call of Object.values(everyVerb(room, { timeoutMs: 1 }))) {
        await call().catch((error: unknown) => assert.ok(error instanceof BucketlockError, String(error)));
      }
      await room.clock.sleep(50);
    },
  },
];
