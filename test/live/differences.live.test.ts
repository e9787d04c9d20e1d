/**
 * The table "What the servers answer" of docs/stores.md, measured: each server's column is compared with what it does now,
 * and where it differs the failure shows the column as it should be.
 */
import { afterAll, expect, it } from "vitest";
import { onEveryServer } from "../servers/on-server.js";
import { useBucket } from "./buckets.js";
import { documented, EXPERIMENTS, type Ground, late, RETAINED_MS } from "./differences.js";

onEveryServer((server) => {
  const { bucket, session: open } = useBucket(server, "differences");
  const others = new Set<string>();
  afterAll(async () => {
    const session = open();
    await new Promise((resolve) => setTimeout(resolve, RETAINED_MS));
    for (const other of others) {
      // versitygw keeps no versions here, and refuses the one it lists ("null") where objects can be locked.
      if (server.name === "versitygw") await session.remove({ prefix: "" }, { bucket: other });
      else await session.purge({ prefix: "" }, { bucket: other });
      await session.deleteBucket({ bucket: other });
    }
  });

  it("answers as docs/stores.md says", { timeout: 60_000 }, async () => {
    const ground: Ground = {
      // RGW understands conditions in this form only, the others in both.
      session: open({ bareIfMatch: server.name === "rgw" }),
      late: open({ clock: late }),
      bucket(end) {
        const name = `${bucket}-${end}`;
        others.add(name);
        return name;
      },
    };
    const measured: Record<string, string> = {};
    for (const [row, experiment] of Object.entries(EXPERIMENTS)) measured[row] = await experiment(ground);
    console.log(`${server.name}: ${JSON.stringify(measured, undefined, 1)}`);
    expect(documented(server.name)).toEqual(measured);
  });
});
