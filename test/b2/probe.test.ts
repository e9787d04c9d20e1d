/** The probe on a B2 session: an honest no to the conditional protocol, fit for the other, and no version is left. */
import { probe } from "@bucketlock/core";
import { expect, test } from "vitest";
import { useEmulator, useSession } from "./rig.js";

test("B2 is found fit for the two-object protocol only", async () => {
  const session = useSession(await useEmulator());
  const store = session.store();
  const report = await probe(store, { listings: 10 });
  expect(report.protocols["two-object"].reasons).toEqual([]);
  expect(report.protocols.conditional.reasons.map(({ code }) => code)).toEqual(["CONDITIONS_REFUSED"]);
  expect(report).toMatchObject({ multiDelete: "one by one", left: [] });
  for await (const { versions } of store.listVersions("")) expect(versions).toEqual([]);
});
