/**
 * Bodies in the content encoding `aws-chunked` (S3 API reference, "Signature calculations: chunked uploads"): takes the
 * chunks apart, reads the trailers, and checks each chunk's signature where they are signed.
 */
import { createHash, createHmac } from "node:crypto";
import { Refusal } from "./answers.js";

export interface Seal {
  readonly key: Buffer;
  readonly date: string;
  readonly scope: string;
  /** The request's own signature: each chunk's signature covers the one before. */
  readonly seed: string;
}
export interface Unchunked {
  readonly body: Buffer;
  /** Names in lower case. */
  readonly trailers: Readonly<Record<string, string>>;
}

const EMPTY = createHash("sha256").digest("hex");

/** `payload`: the x-amz-content-sha256 of the request. Undefined: it is no chunked body. */
export function unchunk(
  payload: string,
  raw: Buffer,
  headers: Readonly<Record<string, unknown>>,
  seal: Seal,
): Unchunked | undefined {
  if (!payload.startsWith("STREAMING-")) return undefined;
  const isSigned = payload.startsWith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  const hasTrailer = payload.endsWith("-TRAILER");
  if (!isSigned && payload !== "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    throw new Refusal(400, "InvalidRequest", `x-amz-content-sha256 is not known: ${payload}`);
  const parts: Buffer[] = [];
  let at = 0;
  let before = seal.seed;
  const line = (): string => {
    const end = raw.indexOf("\r\n", at);
    if (end < 0) throw incomplete();
    const text = raw.toString("latin1", at, end);
    at = end + 2;
    return text;
  };
  for (;;) {
    const [, hex, said] = /^([0-9a-fA-F]+)(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line()) ?? [];
    if (hex === undefined) throw incomplete();
    const size = Number.parseInt(hex, 16);
    const chunk = raw.subarray(at, at + size);
    if (chunk.length < size) throw incomplete();
    if (isSigned) {
      before = chunkSignature(seal, "AWS4-HMAC-SHA256-PAYLOAD", before, `${EMPTY}\n${sha256(chunk)}`);
      if (said !== before) throw mismatch("chunk");
    }
    if (size === 0) break;
    parts.push(chunk);
    at += size;
    if (line() !== "") throw incomplete();
  }
  const trailers: Record<string, string> = {};
  let signedTrailer = "";
  for (let text = line(); text !== ""; text = line()) {
    const colon = text.indexOf(":");
    const name = text.slice(0, colon).trim().toLowerCase();
    const value = text.slice(colon + 1).trim();
    if (name === "x-amz-trailer-signature") {
      if (value !== chunkSignature(seal, "AWS4-HMAC-SHA256-TRAILER", before, sha256(Buffer.from(signedTrailer))))
        throw mismatch("trailer");
    } else {
      trailers[name] = value;
      signedTrailer += `${name}:${value}\n`;
    }
    if (at >= raw.length) break;
  }
  const announced = String(headers["x-amz-trailer"] ?? "");
  if (hasTrailer && Object.keys(trailers).join(",") !== announced.toLowerCase())
    throw new Refusal(400, "MalformedTrailerError", "The request contained trailing data that was not well-formed");
  const body = Buffer.concat(parts);
  const length = headers["x-amz-decoded-content-length"];
  if (length === undefined) throw new Refusal(411, "MissingContentLength", "x-amz-decoded-content-length is missing");
  if (Number(length) !== body.length) throw incomplete();
  return { body, trailers };
}

function chunkSignature(seal: Seal, algorithm: string, before: string, rest: string): string {
  const text = [algorithm, seal.date, seal.scope, before, rest].join("\n");
  return createHmac("sha256", seal.key).update(text).digest("hex");
}

function sha256(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

function incomplete(): Refusal {
  return new Refusal(400, "IncompleteBody", "The request body terminated unexpectedly");
}

function mismatch(what: string): Refusal {
  return new Refusal(403, "SignatureDoesNotMatch", `the signature of a ${what} is wrong`);
}
