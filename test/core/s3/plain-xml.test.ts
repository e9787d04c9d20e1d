/** The quick way through a document ends where the parser's own way does, or is not taken. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type IsList, plainDocument } from "../../../packages/core/src/plain-xml.js";
import { loadXmlReader } from "../../../packages/core/src/s3-exchange.js";
import { XmlFault } from "../../../packages/core/src/xml.js";

const reader = await loadXmlReader();
const RUNS = Number(process.env.BUCKETLOCK_XML_RUNS ?? 4000);
/** As xml.ts has it. */
const LISTS = new Set(["Contents", "CommonPrefixes", "Version", "DeleteMarker", "Deleted", "Grant"]);
const isList: IsList = (name, path) => LISTS.has(name) || path() === "DeleteResult.Error";

/** The same by the parser: what ends with a comment is not plain. */
function parsed(source: string, name: string): unknown {
  const body = Buffer.from(`${source}<!---->`);
  const node = withoutBlanks(reader.root(body, name));
  return Object.keys(node as object).length > 0 ? node : reader.rootText(body, name);
}

/** Text between elements, which nothing reads. */
function withoutBlanks(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutBlanks);
  const entries = Object.entries(value).filter(([name, one]) => name !== "#text" || String(one).trim() !== "");
  return Object.fromEntries(entries.map(([name, one]) => [name, withoutBlanks(one)]));
}

/** What was read quickly must be what the parser reads, never something that it refuses. */
function agree(source: string): boolean {
  const plain = plainDocument(source, isList);
  if (plain === undefined) return false;
  const { name, value } = plain;
  // Of a text only, entities are decoded by whoever asks for it.
  if (typeof value === "string" && value.includes("&")) return false;
  expect(parsed(source, name), source).toEqual(value);
  return true;
}

const listing = (inner: string, attributes = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult${attributes}><Name>b</Name><Prefix></Prefix>${inner}<Marker/></ListBucketResult>`;
const entry =
  "<Contents><Key>a%2Fb c</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&#34;c4ca4238a0b923820dcc509a6f75849b&#34;</ETag><Size>1</Size><Owner><ID>x</ID></Owner></Contents>";

describe("what is plain", () => {
  it.each([
    ["a listing", listing(`${entry}\n  ${entry}`)],
    ["a single entry, which is a list", listing(entry)],
    ["no attribute", listing(entry, "")],
    ["an error", "<Error><Code>NoSuchKey</Code><Message>no &lt;key&gt;</Message></Error>"],
    ["errors of single keys", "<DeleteResult><Error><Key>a</Key></Error></DeleteResult>"],
    ["an error elsewhere", "<Other><Error><Key>a</Key></Error></Other>"],
    ["repeated names", "<A><B>1</B><B>2</B><B></B></A>"],
    ["an entry that is empty", "<A><Contents/><Contents></Contents></A>"],
    ["blanks as a value", "<A><B> </B><C>\n\t</C></A>"],
    ["text alone", "<LocationConstraint>eu-central-1</LocationConstraint>"],
    ["nothing", "<LocationConstraint/>".replace("/", "></LocationConstraint").replace(">>", ">")],
  ])("%s", (_what, source) => {
    expect(agree(source)).toBe(true);
  });

  it.each([
    ["cut", listing(entry).slice(0, -1)],
    ["cut within an entry", listing(entry).slice(0, 300)],
    ["something behind it", `${listing(entry)}x`],
    ["two roots", "<A></A><A></A>"],
    ["a wrong end", "<A><B></A></B>"],
    ["a page", "<html><body></body></html>"],
    ["a comment", "<A><!-- --></A>"],
    ["a document type", "<!DOCTYPE A><A></A>"],
    ["CDATA", "<A><![CDATA[x]]></A>"],
    ["an instruction", "<A><?x y?></A>"],
    ["an attribute", '<A><B c="d"></B></A>'],
    ["mixed content", "<A>x<B></B></A>"],
    ["a carriage return", "<A>\r\n<B></B></A>"],
    ["a sign that is none", "<A>1 > 0</A>"],
    ["a name with a colon", "<A><b:c></b:c></A>"],
    ["a space in a tag", "<A><B ></B></A>"],
    ["a name of every object", "<A><constructor>1</constructor></A>"],
    ["an entity that is none", "<A><B>&nbsp;</B></A>"],
    ["an entity without an end", "<A><B>&amp</B></A>"],
    ["too deep", `${"<A>".repeat(17)}${"</A>".repeat(17)}`],
    ["nothing", ""],
    ["text", "no XML"],
  ])("but not %s", (_what, source) => {
    expect(plainDocument(source, isList)).toBeUndefined();
  });
});

describe("whatever comes", () => {
  const name = fc.constantFrom("A", "B", "Contents", "Error", "DeleteResult", "Key", "valueOf");
  const text = fc.string({
    unit: fc.constantFrom("a", " ", "\n", "\t", "&amp;", "%", '"', "'", "]", "ü", "\u{1f512}", "/", "="),
  });
  const { element } = fc.letrec<{ element: string }>((tie) => ({
    element: fc.oneof(
      { maxDepth: 4 },
      fc.tuple(name, text).map(([of, inner]) => `<${of}>${inner}</${of}>`),
      name.map((of) => `<${of}/>`),
      fc
        .tuple(name, fc.array(fc.tuple(tie("element"), fc.constantFrom("", " ", "\n")), { maxLength: 4 }))
        .map(([of, inner]) => `<${of}>${inner.flat().join("")}</${of}>`),
    ),
  }));
  const noise = fc.constantFrom(
    "<",
    ">",
    "/",
    "&",
    "</A>",
    "<A>",
    "<!--",
    "-->",
    "\u0000",
    "\u00a0",
    "x",
    " ",
    "\r",
    "",
  );

  it("is read alike, or not quickly", () => {
    let quick = 0;
    let all = 0;
    const mutants = fc.array(fc.tuple(fc.nat(), fc.nat(3), noise), { maxLength: 2 });
    fc.assert(
      fc.property(element, mutants, (whole, changes) => {
        let source = whole;
        for (const [at, length, by] of changes) {
          const from = at % (source.length + 1);
          source = source.slice(0, from) + by + source.slice(from + length);
        }
        all++;
        try {
          // Half of a pair cannot be sent.
          if (agree(Buffer.from(source).toString())) quick++;
        } catch (error) {
          if (!(error instanceof XmlFault)) throw error;
          throw new Error(`read, though the parser calls it ${error.why}: ${JSON.stringify(source)}`);
        }
      }),
      { numRuns: RUNS },
    );
    expect(quick).toBeGreaterThan(all / 20);
  });
});
