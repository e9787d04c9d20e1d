/** Encoding: examples of the specification, and properties over any text. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  canonicalQuery,
  decodePercent,
  encodePath,
  encodeRfc3986,
  normalizePath,
} from "../../../packages/core/src/uri.js";

const wellFormed = fc.string({ unit: "binary" }).filter((text) => text.isWellFormed());

describe("encodeRfc3986", () => {
  it("escapes what URL classes leave alone", () => {
    expect(encodeRfc3986("!'()* +/~-._")).toBe("%21%27%28%29%2A%20%2B%2F~-._");
  });
  it("uses unreserved characters and escapes only, and comes back", () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        const encoded = encodeRfc3986(text);
        expect(encoded).toMatch(/^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*$/);
        expect(decodePercent(encoded, false)).toBe(text);
        // No bare plus is ever left, so reading one as a space changes nothing.
        expect(decodePercent(encoded, true)).toBe(text);
      }),
    );
  });
  it("refuses a lone surrogate", () => expect(() => encodeRfc3986("\ud800")).toThrow(URIError));
});

describe("encodePath", () => {
  it("keeps slashes, also doubled and at the end", () => expect(encodePath("a//b c/")).toBe("a//b%20c/"));
  it("is encodeRfc3986 between slashes", () => {
    fc.assert(
      fc.property(fc.array(wellFormed), (segments) => {
        const flat = segments.flatMap((segment) => segment.split("/"));
        expect(encodePath(flat.join("/"))).toBe(flat.map(encodeRfc3986).join("/"));
      }),
    );
  });
});

describe("canonicalQuery", () => {
  it("sorts by encoded name, then value", () => {
    expect(
      canonicalQuery([
        ["b", "1"],
        ["a", "2"],
        ["a", "10"],
        ["A", ""],
        ["a b", "="],
      ]),
    ).toBe("A=&a=10&a=2&a%20b=%3D&b=1");
  });
});

describe("normalizePath", () => {
  it.each([
    ["/", "/"],
    ["/a/../..", "/"],
    ["//a//b//", "/a/b/"],
    ["/./a", "/a"],
  ])("%s becomes %s", (from, to) => expect(normalizePath(from)).toBe(to));
});

describe("decodePercent", () => {
  it("answers nothing for what is not encoded", () => {
    expect(decodePercent("100%", true)).toBeUndefined();
    expect(decodePercent("%ff", true)).toBeUndefined();
  });
  it("reads + as a space only when told", () => {
    expect(decodePercent("a+b%2B", true)).toBe("a b+");
    expect(decodePercent("a+b%2B", false)).toBe("a+b+");
  });
});
