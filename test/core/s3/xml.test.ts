/** Strict reading: what real servers send is understood, everything else is a fault with its reason. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadXmlReader } from "../../../packages/core/src/s3-exchange.js";
import { deleteTree, fitsXml, XmlFault } from "../../../packages/core/src/xml.js";

const reader = await loadXmlReader();
const bytes = (text: string) => Buffer.from(text);
const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

function listing(inner: string, encoding = ""): Buffer {
  return bytes(
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult ${NS}>${encoding}<Name>b</Name>${inner}</ListBucketResult>`,
  );
}
function entry(key: string, time = "2026-01-02T03:04:05.678Z"): string {
  return `<Contents><Key>${key}</Key><LastModified>${time}</LastModified><ETag>&quot;abc&quot;</ETag><Size>1</Size></Contents>`;
}
function why(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof XmlFault) return error.why;
    throw error;
  }
  return "understood";
}

describe("ListObjectsV2", () => {
  it("keeps keys as text, untrimmed, and one entry is a list", () => {
    for (const key of ["00123", " a ", "1e5", "true", "", "\t\n"]) {
      const got = reader.objects(listing(`<IsTruncated>false</IsTruncated>${entry(key)}`));
      expect(got.objects.map((object) => object.key)).toEqual([key]);
    }
  });
  it("decodes every form of entity", () => {
    const got = reader.objects(
      listing(`<IsTruncated>false</IsTruncated>${entry("&quot;&#34;&#x22;&apos;&amp;lt;&amp;quot;&#x9;&#x1F512;")}`),
    );
    expect(got.objects[0]).toMatchObject({ key: `"""'&lt;&quot;\t\u{1F512}`, etag: '"abc"' });
  });
  it("reads more entities than the parser's own limits allow", () => {
    const got = reader.objects(listing(`<IsTruncated>false</IsTruncated>${entry("&amp;k").repeat(1000)}`));
    expect(got.objects.length).toBe(1000);
    expect(got.objects.every(({ key, etag }) => key === "&k" && etag === '"abc"')).toBe(true);
  });
  it("decodes keys only when the answer says url, with %20 and with +", () => {
    const said = "<EncodingType>url</EncodingType>";
    const tail = (key: string) => `<IsTruncated>false</IsTruncated>${entry(key)}`;
    expect(reader.objects(listing(tail("a%20b+c%2B"), said)).objects[0]!.key).toBe("a b c+");
    expect(reader.objects(listing(tail("a%20b+c"), "<EncodingType></EncodingType>")).objects[0]!.key).toBe("a%20b+c");
    expect(reader.objects(listing(tail("a%20b+c"))).objects[0]!.key).toBe("a%20b+c");
    expect(why(() => reader.objects(listing(tail("100%"), said)))).toBe("incomplete");
  });
  it.each([
    ["2026-01-02T03:04:05Z", 5000],
    ["2026-01-02T03:04:05.678Z", 5678],
    ["2026-01-02T03:04:05.678901Z", 5678],
    ["2026-01-02T04:04:05.000+01:00", 5000],
  ])("reads the time %s", (time, ms) => {
    const got = reader.objects(listing(`<IsTruncated>false</IsTruncated>${entry("k", time)}`));
    expect(got.objects[0]!.lastModifiedMs).toBe(Date.UTC(2026, 0, 2, 3, 4) + ms);
  });
  it("refuses a time without a zone, a size that is none, a missing field", () => {
    const of = (inner: string) => why(() => reader.objects(listing(`<IsTruncated>false</IsTruncated>${inner}`)));
    expect(of(entry("k", "2026-01-02T03:04:05"))).toBe("incomplete");
    expect(of(entry("k").replace("<Size>1", "<Size>one"))).toBe("incomplete");
    expect(of(entry("k").replace(/<Key>.*<\/Key>/, ""))).toBe("incomplete");
    expect(of(entry("k").replace("<Key>k</Key>", "<Key>k</Key><Key>l</Key>"))).toBe("foreign");
    expect(of("<Contents></Contents>")).toBe("incomplete");
    expect(why(() => reader.objects(listing("")))).toBe("incomplete");
  });
  it("gives the token as it is, and refuses a truncated listing without one", () => {
    const got = reader.objects(
      listing("<IsTruncated>true</IsTruncated><NextContinuationToken>a+b%20&amp;=</NextContinuationToken>"),
    );
    expect(got.nextToken).toBe("a+b%20&=");
    expect(why(() => reader.objects(listing("<IsTruncated>true</IsTruncated>")))).toBe("incomplete");
    expect(why(() => reader.objects(listing("<IsTruncated>true</IsTruncated><NextContinuationToken/>")))).toBe(
      "incomplete",
    );
  });
});

describe("what is no answer", () => {
  const whole = listing(`<IsTruncated>false</IsTruncated>${entry("k1")}${entry("k2")}`);
  it("is refused wherever it is cut", () => {
    for (let length = 0; length < whole.length; length++)
      expect(
        why(() => reader.objects(whole.subarray(0, length))),
        `cut at ${length}`,
      ).toMatch(/^(cut|foreign)$/);
    expect(why(() => reader.objects(whole))).toBe("understood");
  });
  it.each([
    ["<!DOCTYPE html><html><body>login</body></html>", "html"],
    ["\n<html lang=en>x</html>", "html"],
    ["not xml at all", "foreign"],
    ['{"error":true}', "foreign"],
    ["", "cut"],
    ["<ListAllMyBucketsResult></ListAllMyBucketsResult>", "foreign"],
    ['<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ListBucketResult>&e;</ListBucketResult>', "foreign"],
    ["<ListBucketResult><IsTruncated><![CDATA[false]]></IsTruncated></ListBucketResult>", "foreign"],
    ["<ListBucketResult><IsTruncated>&unknown;</IsTruncated></ListBucketResult>", "foreign"],
    ["<ListBucketResult><IsTruncated>false</ListBucketResult>", "cut"],
    ["<ListBucketResult></ListBucketResult><ListBucketResult></ListBucketResult>", "cut"],
  ])("%s", (text, reason) => expect(why(() => reader.objects(bytes(text)))).toBe(reason));
  it("never crashes on a changed byte", () => {
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(whole);
        changed[at] = value;
        why(() => reader.objects(changed));
      }),
      { numRuns: 2000, seed: 7 },
    );
  });
  it("refuses bytes that are no UTF-8", () => {
    expect(why(() => reader.objects(Buffer.concat([whole, Buffer.from([0xff])])))).toBe("cut");
  });
});

describe("versions", () => {
  const of = (inner: string) => reader.versions(bytes(`<ListVersionsResult ${NS}>${inner}</ListVersionsResult>`));
  const one = (tag: string, key: string, id: string, latest: boolean) =>
    `<${tag}><Key>${key}</Key><VersionId>${id}</VersionId><IsLatest>${latest}</IsLatest><LastModified>2026-01-02T03:04:05Z</LastModified></${tag}>`;
  it("puts versions and markers in the order of keys, newest first", () => {
    const got = of(
      `<IsTruncated>false</IsTruncated>${one("Version", "b", "1", false)}${one("Version", "a", "null", true)}${one("DeleteMarker", "b", "2", true)}`,
    );
    expect(got.versions.map((v) => [v.key, v.versionId, v.isLatest, v.isDeleteMarker])).toEqual([
      ["a", "null", true, false],
      ["b", "2", true, true],
      ["b", "1", false, false],
    ]);
    expect(got.next).toBeUndefined();
  });
  it("knows a marker that is encoded from one that is not (RGW)", () => {
    const page = (marker: string) =>
      of(
        `<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>${marker}</NextKeyMarker><NextVersionIdMarker>7</NextVersionIdMarker>${one("Version", "a%2Bb%25", "7", true)}`,
      );
    expect(page("a+b%").next).toEqual({ key: "a+b%", versionId: "7" });
    expect(page("a%2Bb%25").next).toEqual({ key: "a+b%", versionId: "7" });
    expect(why(() => of("<IsTruncated>true</IsTruncated>"))).toBe("incomplete");
  });
});

describe("deletes and errors", () => {
  it("reads both kinds of entries", () => {
    const got = reader.deleted(
      bytes(
        "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>",
      ),
    );
    expect(got.deleted).toEqual([{ key: "a", versionId: undefined }]);
    expect(got.failed).toEqual([{ key: "b", versionId: undefined, code: "AccessDenied", message: "no" }]);
  });
  it("reads an error, and tells that another document is none", () => {
    expect(reader.error(bytes("<Error><Code>NoSuchKey</Code><Region>eu</Region></Error>"))).toMatchObject({
      code: "NoSuchKey",
      message: "",
      region: "eu",
    });
    expect(reader.error(bytes("<Other/>"))).toBeUndefined();
    expect(why(() => reader.error(bytes("<Error><Code>No")))).toBe("cut");
  });
  it("carries every key that fits there and back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }).filter(fitsXml), (key) => {
        const echoed = String(reader.write("Delete", deleteTree([{ key, versionId: key }], false)));
        const inner = /<Object>(.*)<\/Object>/s.exec(echoed)![1]!;
        const got = reader.deleted(bytes(`<DeleteResult><Deleted>${inner}</Deleted></DeleteResult>`));
        expect(got.deleted).toEqual([{ key, versionId: key === "" ? undefined : key }]);
      }),
    );
    expect(String(reader.write("D", { K: `<&">`, A: { "@x": '"' } }))).toMatch(
      /^<\?xml version="1.0" encoding="UTF-8"\?><D xmlns="[^"]+"><K>&lt;&amp;&quot;&gt;<\/K><A x="&quot;"><\/A><\/D>$/,
    );
    expect(["a\nb", "\u0000", "\r", "\ufffe", "\ud800"].map(fitsXml)).toEqual([false, false, false, false, false]);
  });
});
