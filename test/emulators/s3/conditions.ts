/** Conditions of reads (RFC 9110 13.2.2) and of writes, strictly by the book: ETags in their quotes. */
import { Refusal } from "./answers.js";
import type { Stored } from "./world.js";

type Headers = Readonly<Record<string, unknown>>;

/** Throws 412; answers 304 where the reader has it already. `at`: how the headers begin (`x-amz-copy-source-` of a copy). */
export function readCondition(headers: Headers, stored: Stored, at = ""): "read" | "not modified" {
  const header = (name: string) => headers[`${at}${name}`] as string | undefined;
  const match = header("if-match");
  const unmodified = instantOf(header("if-unmodified-since"));
  if (match !== undefined) {
    if (!names(match, stored.etag)) throw failed("If-Match");
  } else if (unmodified !== undefined && wholeSecond(stored.lastModifiedMs) > unmodified)
    throw failed("If-Unmodified-Since");
  const noneMatch = header("if-none-match");
  const modified = instantOf(header("if-modified-since"));
  const isKnown =
    noneMatch !== undefined
      ? names(noneMatch, stored.etag)
      : modified !== undefined && wholeSecond(stored.lastModifiedMs) <= modified;
  if (!isKnown) return "read";
  if (at !== "") throw failed(noneMatch !== undefined ? "If-None-Match" : "If-Modified-Since");
  return "not modified";
}

/** Throws 412, 404 on If-Match of nothing, and 409 where the key was deleted while the write was under way. */
export function writeCondition(headers: Headers, current: Stored | undefined, wasDeleted: boolean): void {
  const match = headers["if-match"];
  const noneMatch = headers["if-none-match"];
  if (match === undefined && noneMatch === undefined) return;
  if (noneMatch !== undefined && noneMatch !== "*")
    throw new Refusal(501, "NotImplemented", "A header you provided implies functionality that is not implemented", {
      Header: "If-None-Match",
    });
  if (wasDeleted)
    throw new Refusal(
      409,
      "ConditionalRequestConflict",
      "The conditional request cannot succeed due to a conflicting operation against this resource.",
    );
  if (noneMatch !== undefined && current !== undefined) throw failed("If-None-Match");
  if (match === undefined) return;
  if (current === undefined) throw noSuchKey();
  if (match !== current.etag) throw failed("If-Match");
}

/** Of a DELETE: 404 where there is nothing, 412 where it is another or only a delete marker. `*`: whatever is there. */
export function deleteCondition(match: string | undefined, latest: Stored | undefined): void {
  if (match === undefined) return;
  if (latest === undefined) throw noSuchKey();
  if (latest.isDeleteMarker || (match !== "*" && match !== latest.etag)) throw failed("If-Match");
}

export function noSuchKey(headers?: Record<string, string>): Refusal {
  return new Refusal(404, "NoSuchKey", "The specified key does not exist.", {}, headers);
}

function failed(condition: string): Refusal {
  return new Refusal(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", {
    Condition: condition,
  });
}

function names(list: string, etag: string): boolean {
  return list.split(",").some((one) => one.trim() === "*" || one.trim().replace(/^W\//, "") === etag);
}

function wholeSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

function instantOf(text: string | undefined): number | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
