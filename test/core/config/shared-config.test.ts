/** The shared files as text: the forms that they have, and the same reading as the AWS SDK's own parser. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSharedConfigFiles } from "@smithy/shared-ini-file-loader";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSections, SharedConfig } from "../../../packages/core/src/shared-config.js";

const settingsOf = (text: string, section = "default") =>
  Object.fromEntries(parseSections(text).get(section)?.settings ?? []);

describe("sections", () => {
  it.each([
    ["[default]\nregion=eu-1", { region: "eu-1" }],
    ["[default]\r\n region =  eu-1 \r\n", { region: "eu-1" }],
    ["[default]\nREGION = eu-1", { region: "eu-1" }],
    ["[default]\na = 1\n[other]\na = 2\n[default]\nb = 3", { a: "1", b: "3" }],
    ["[default]\na = 1\na = 2", { a: "2" }],
    ["# note\n; note\n[default] # note\na = 1 ; note\nb = 1;2#3", { a: "1", b: "1;2#3" }],
    ["a = 0\n[default]\nb = x = y", { b: "x = y" }],
    [
      "[default]\ns3 =\n  endpoint_url = http://x\n  max = 1\nregion = r",
      { "s3.endpoint_url": "http://x", "s3.max": "1", region: "r" },
    ],
    ["[default]\nempty =\nnext = 1", { next: "1" }],
    ["[__proto__]\na = 1\n[default]\nb = 2", { b: "2" }],
  ])("%j", (text, expected) => {
    expect(settingsOf(text)).toEqual(expected);
  });

  it.each(["[profile work]", "[profile  work]", "[ profile work ]", '[profile "work"]', "[profile 'work']"])(
    "%s",
    (heading) => {
      expect(settingsOf(`${heading}\na = 1`, "profile work")).toEqual({ a: "1" });
    },
  );

  it("remembers the first line that is no setting", () => {
    const sections = parseSections("nonsense\n[a]\nx = 1\nnonsense\n= 2\n[b]\ny = 1");
    expect(sections.get("a")?.badLine).toBe(4);
    expect(sections.get("b")?.badLine).toBeUndefined();
  });
});

describe("profiles", () => {
  const shared = (config: string, credentials = "") =>
    new SharedConfig({ path: "c", text: config }, { path: "k", text: credentials });

  it("are of both files; the credentials file wins", () => {
    const profile = shared("[profile a]\nx = 1\ny = 1", "[a]\ny = 2\nz = 2").profile("a");
    expect(Object.fromEntries(profile!.settings)).toEqual({ x: "1", y: "2", z: "2" });
  });

  it("are headed differently in the two files", () => {
    expect(shared("[a]\nx = 1").profile("a")).toBeUndefined();
    expect(shared("", "[profile a]\nx = 1").profile("a")).toBeUndefined();
    expect(shared("[default]\nx = 1\n[profile default]\ny = 2").profile("default")?.settings).toEqual(
      new Map([["y", "2"]]),
    );
  });
});

describe("beside the parser of the AWS SDK", () => {
  const name = fc.constantFrom("default", "profile work", "profile two", "work", "sso-session s", "services s");
  const word = fc.constantFrom("region", "output", "s3", "endpoint_url", "aws_access_key_id");
  const value = fc.constantFrom(
    "",
    "eu-1",
    "a=b",
    "a#b",
    "a;b",
    "http://x:1/y?z=1",
    "x y",
    "a # note",
    "a ; note",
    "# note",
  );
  const space = fc.constantFrom("", " ", "  ", "\t");
  const line = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(name, space).map(([n, s]) => `[${n}]${s}`) },
    {
      weight: 8,
      arbitrary: fc
        .tuple(fc.constantFrom("", "", "", "  ", "\t"), word, space, space, value)
        .map(([indent, w, a, b, v]) => `${indent}${w}${a}=${b}${v}`),
    },
    { weight: 1, arbitrary: fc.constantFrom("", "  ", "# note", "  ; note", "[profile work] # note") },
  );
  const file = fc
    .tuple(fc.array(line, { minLength: 8, maxLength: 25 }), fc.constantFrom("\n", "\r\n"))
    .map(([lines, end]) => lines.join(end));

  it("reads every profile and services section the same", async () => {
    const dir = mkdtempSync(join(tmpdir(), "bucketlock-shared-"));
    try {
      const configFilepath = join(dir, "config");
      const filepath = join(dir, "credentials");
      let profiles = 0;
      await fc.assert(
        fc.asyncProperty(file, file, async (config, credentials) => {
          writeFileSync(configFilepath, config);
          writeFileSync(filepath, credentials);
          const theirs = await loadSharedConfigFiles({ configFilepath, filepath, ignoreCache: true });
          const ours = new SharedConfig({ path: "c", text: config }, { path: "k", text: credentials });
          for (const name of ["default", "work", "two"]) {
            const merged = { ...theirs.configFile[name], ...theirs.credentialsFile[name] };
            const settings = Object.fromEntries(ours.profile(name)?.settings ?? []);
            expect(settings).toEqual(merged);
            if (Object.keys(merged).length > 0) profiles++;
          }
          expect(Object.fromEntries(ours.services("s") ?? [])).toEqual(theirs.configFile["services.s"] ?? {});
        }),
        { numRuns: Number(process.env.BUCKETLOCK_SHARED_FILES ?? 400), seed: 7 },
      );
      expect(profiles).toBeGreaterThan(300);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
