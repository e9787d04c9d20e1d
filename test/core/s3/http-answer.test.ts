/** The head of an answer, read from its bytes. */
import { describe, expect, it } from "vitest";
import { headerOf, RawAnswer } from "../../../packages/core/src/http-answer.js";

const head = (...lines: string[]): Buffer[] =>
  lines.flatMap((line) => line.split(": ").map((part) => Buffer.from(part, "latin1")));

describe("a head", () => {
  const raw = head(
    'ETag: "a"',
    "X-Amz-Request-Id: 1",
    "x-amz-request-id: 2",
    "x_under: b",
    "Empty: ",
    "Name: J\u00fcrgen",
  );

  it.each([
    ["etag", '"a"'],
    // The first of two: versitygw sends two.
    ["x-amz-request-id", "1"],
    ["x_under", "b"],
    ["empty", ""],
    ["name", "J\u00fcrgen"],
    ["etag2", undefined],
    ["eta", undefined],
    // `_` is no `\x7f`, `-` no `\r`: only letters have two forms.
    ["x\u007funder", undefined],
    ["", undefined],
  ])("has for %j the value %j", (name, value) => {
    expect(headerOf(raw, name)).toBe(value);
    expect(new RawAnswer(200, raw, Buffer.alloc(0), undefined).header(name)).toBe(value);
  });

  it("names each header once, in lower case", () => {
    const { headerNames } = new RawAnswer(200, raw, Buffer.alloc(0), undefined);
    expect(headerNames).toEqual(["etag", "x-amz-request-id", "x_under", "empty", "name"]);
  });
});
