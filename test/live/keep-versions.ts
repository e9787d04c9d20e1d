/** Makes a bucket of a test keep versions. Signs by hand and sends one request; knows nothing of sessions or stores. */
import { expect } from "vitest";
import { Signer } from "../../packages/core/src/sigv4.js";
import type { ServerFacts } from "../servers/server.js";

/** No verb of the session: a program does not change how its bucket is kept. */
export async function keepVersions(server: ServerFacts, bucket: string): Promise<void> {
  const { host } = new URL(server.endpoint);
  const query = new Signer({ region: server.region, service: "s3" }).signQuery(
    {
      ...{ method: "PUT", path: `/${bucket}`, query: [["versioning", ""]] },
      ...{ headers: [["host", host]], payloadHash: "UNSIGNED-PAYLOAD" },
    },
    { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    Date.now(),
    60,
  );
  const body = `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`;
  const answer = await fetch(`${server.endpoint}/${bucket}?${query}`, { method: "PUT", body });
  expect(answer.status, await answer.text()).toBe(200);
}
