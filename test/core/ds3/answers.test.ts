/** Answers of an appliance, damaged in every way: read right, or a typed fault; never a crash, a hang or half a job. */
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";
import { Ds3Reader } from "../../../packages/core/src/ds3/ds3-answers.js";
import { type XmlEngine, XmlFault } from "../../../packages/core/src/xml.js";

const JOB = `<?xml version="1.0"?><MasterObjectList BucketName="b&amp;c" CachedSizeInBytes="5" CompletedSizeInBytes="0" JobId="j-1" Name="n &quot;q&quot;" OriginalSizeInBytes="12" Priority="NORMAL" RequestType="PUT" Status="IN_PROGRESS"><Nodes><Node EndPoint="h" Id="i"/></Nodes><Objects ChunkId="c0" ChunkNumber="0"><Object InCache="true" Length="5" Name="a/00123" Offset="0"/><Object InCache="FALSE" Length="7" Name="a/00123" Offset="5"/></Objects></MasterObjectList>`;
const LISTING = `<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>b</NextMarker><Contents><Key> 001 </Key><Size>7</Size></Contents><Contents><Key>b</Key><Size>0</Size></Contents></ListBucketResult>`;
const require = createRequire(new URL("../../../packages/core/package.json", import.meta.url));
const reader = new Ds3Reader(require("fast-xml-parser") as XmlEngine);
const job = (text: string) => reader.job(Buffer.from(text));

describe("a job", () => {
  it("is read with names as they are", () => {
    expect(job(JOB)).toEqual({
      jobId: "j-1",
      name: 'n "q"',
      bucket: "b&c",
      kind: "put",
      status: "in progress",
      priority: "NORMAL",
      originalSize: 12,
      cachedSize: 5,
      completedSize: 0,
      chunks: [
        {
          chunkId: "c0",
          number: 0,
          blobs: [
            { name: "a/00123", offset: 0, length: 5, inCache: true },
            { name: "a/00123", offset: 5, length: 7, inCache: false },
          ],
        },
      ],
    });
  });

  it.each([
    ['Length="7"', 'Length="seven"', "incomplete"],
    ['Length="7"', 'Length="-7"', "incomplete"],
    [' Offset="5"', "", "incomplete"],
    ['JobId="j-1"', "", "incomplete"],
    ['Status="IN_PROGRESS"', 'Status="ODD"', "foreign"],
    ['RequestType="PUT"', 'RequestType="constructor"', "foreign"],
    ["</MasterObjectList>", "", "cut"],
    ["MasterObjectList", "Other", "foreign"],
    ["b&amp;c", "b&odd;c", "foreign"],
  ])("with %j made %j is a fault", (part, instead, why) => {
    expect(() => job(JOB.replaceAll(part, instead))).toThrowError(expect.objectContaining({ why }));
  });
});

it("a truncated listing without a way on is a fault, and keys are not trimmed", () => {
  const page = (text: string) => reader.page(Buffer.from(text));
  expect(page(LISTING)).toMatchObject({ nextMarker: "b", objects: [{ name: " 001 ", size: 7 }, { name: "b" }] });
  expect(page(LISTING.replace("<NextMarker>b</NextMarker>", "")).nextMarker).toBe("b");
  const empty = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
  expect(() => page(empty)).toThrowError(XmlFault);
});

it("damage is told, whatever it hits", () => {
  let seed = 20_261_121;
  const next = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % below;
  };
  let faults = 0;
  for (let round = 0; round < 2_000; round++) {
    const isJob = round % 2 === 0;
    const bytes = Buffer.from(isJob ? JOB : LISTING);
    const at = next(bytes.length);
    const changed = Buffer.from(bytes);
    changed[at] = next(256);
    const without = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + next(20))]);
    const damaged = [bytes.subarray(0, at), without, changed][round % 3]!;
    try {
      if (!isJob) reader.page(damaged);
      else
        for (const { blobs } of reader.job(damaged).chunks)
          for (const { offset, length } of blobs) expect(offset + length).toBeGreaterThanOrEqual(0);
      // Cut short it is never an answer.
      expect(round % 3).not.toBe(0);
    } catch (error) {
      expect(error).toBeInstanceOf(XmlFault);
      faults++;
    }
  }
  expect(faults).toBeGreaterThan(1_000);
});
