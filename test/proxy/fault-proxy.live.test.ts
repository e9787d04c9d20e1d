/**
 * The fault proxy before real servers: they accept what was signed for the proxy's own host, and each fault leaves the
 * server in the state that its name says.
 */
import type { Store } from "@bucketlock/core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newBucket, type TestBucket } from "../servers/bucket.js";
import { onEveryServer } from "../servers/on-server.js";
import { type FaultProxy, Gate, startFaultProxy } from "./fault-proxy.js";
import { pass, scripted } from "./plan.js";

onEveryServer((server) => {
  let bucket: TestBucket;
  let proxy: FaultProxy;
  const gate = new Gate();
  let near: Store;
  let far: Store;

  beforeAll(async () => {
    bucket = await newBucket(server);
    proxy = await startFaultProxy({ target: server.endpoint, pause: gate.pause });
    near = bucket.session().store();
    far = bucket.session({ endpoint: proxy.endpoint }).store();
  });

  afterAll(async () => {
    await proxy.stop();
    await bucket.remove();
  });

  const body = async (key: string) => {
    const answer = await near.get(key);
    return answer.found ? Buffer.from(answer.body).toString() : undefined;
  };

  it("passes every kind of request, signed for the proxy", async () => {
    proxy.plan = pass;
    expect(await far.put("pass/a b+ü", "1", { metadata: { m: "x" } })).toMatchObject({ outcome: "stored" });
    expect(await far.head("pass/a b+ü")).toMatchObject({ found: true, size: 1, metadata: { m: "x" } });
    expect(await far.get("pass/a b+ü")).toMatchObject({ found: true });
    expect(await far.get("pass/none")).toMatchObject({ found: false });
    const keys: string[] = [];
    for await (const page of far.list("pass/")) keys.push(...page.objects.map(({ key }) => key));
    expect(keys).toEqual(["pass/a b+ü"]);
    expect(await far.deleteMany([{ key: "pass/a b+ü" }, { key: "pass/none" }])).toMatchObject({ failed: [] });
    expect(await body("pass/a b+ü")).toBeUndefined();
  });

  it("cutBefore: unknown to the client, absent on the server", async () => {
    proxy.plan = scripted({ kind: "cutBefore" });
    expect(await far.put("cut-before", "1", { once: true })).toMatchObject({ outcome: "unknown" });
    expect(await body("cut-before")).toBeUndefined();
  });

  it("cutAfter: unknown to the client, there on the server", async () => {
    proxy.plan = scripted({ kind: "cutAfter" });
    expect(await far.put("cut-after", "1", { once: true })).toMatchObject({ outcome: "unknown" });
    expect(await body("cut-after")).toBe("1");
  });

  it("ghost: unknown to the client, on the server later", async () => {
    proxy.plan = scripted({ kind: "ghost", afterMs: 300 });
    expect(await far.put("ghost", "1", { once: true })).toMatchObject({ outcome: "unknown" });
    await expect.poll(() => gate.waiting).toBe(1);
    expect(await body("ghost")).toBeUndefined();
    gate.letGo();
    await proxy.idle();
    expect(await body("ghost")).toBe("1");
  });

  it("duplicate: what was overwritten in between comes back", async () => {
    proxy.plan = scripted({ kind: "duplicate", afterMs: 300 });
    expect(await far.put("twice", "first")).toMatchObject({ outcome: "stored" });
    expect(await near.put("twice", "second")).toMatchObject({ outcome: "stored" });
    await expect.poll(() => gate.waiting).toBe(1);
    gate.letGo();
    await proxy.idle();
    expect(await body("twice")).toBe("first");
  });

  it("cutWithin: half an answer is asked for again", async () => {
    await near.put("within", "a body to be cut");
    proxy.plan = scripted({ kind: "cutWithin" });
    const answer = await far.get("within");
    expect(answer.found && Buffer.from(answer.body).toString()).toBe("a body to be cut");
    expect(proxy.counts.cutWithin).toBe(1);
  });
});
