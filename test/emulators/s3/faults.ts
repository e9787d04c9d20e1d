/** What can go wrong with an answer, and sending it so. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { element, error, type Made } from "./answers.js";

/** Where an answer ends early: a class of bytes each. */
export const CUTS = ["nothing", "in headers", "after headers", "mid body", "before last byte", "in a tag"] as const;
export type Cut = (typeof CUTS)[number];

/** What happened to a request instead of, or around, its normal answer. */
export type ScriptedFault =
  | {
      readonly kind: "reply";
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
      readonly apply?: boolean;
      /** Answered when the headers came, before the body was read. Never applied. */
      readonly early?: boolean;
    }
  /** The connection is reset: before anything was done, or after. */
  | { readonly kind: "reset"; readonly apply: boolean }
  /** The connection is reset when that many bytes of the body have come. Not applied. */
  | { readonly kind: "reset"; readonly apply: false; readonly afterBytes: number }
  /** No answer ever. `after`: nothing, the headers, or half the body. */
  | { readonly kind: "hang"; readonly apply: boolean; readonly after?: "nothing" | "headers" | "half" }
  /** Slow: what comes after that point waits for the promise. Applied before. */
  | { readonly kind: "hold"; readonly until: Promise<void>; readonly after?: "nothing" | "headers" | "half" }
  /** The answer is cut after this share of its body; the length header is honest (`length`) or the body ends with the connection (`close`). */
  | { readonly kind: "cut"; readonly share: number; readonly frame: "length" | "close" | "matching" }
  /** The same by the class of the byte that is missing. */
  | { readonly kind: "cut"; readonly at: Cut; readonly frame: "length" | "close" | "matching" }
  /** The body is changed. */
  | { readonly kind: "edit"; readonly edit: (body: string) => string }
  /** The request is carried out twice, as behind a proxy that sends again; the second answer is the client's. */
  | { readonly kind: "twice" }
  /** The request's object is deleted by somebody else after its headers came and before it is carried out. */
  | { readonly kind: "interleave" };

/** An S3 error, with nothing carried out unless it says so. */
export function refusing(status: number, code: string, message = "scripted", apply = false): ScriptedFault {
  return { kind: "reply", status, body: String(error(status, code, message).body), apply };
}

/** The redirect that a store sends for a bucket of another region. */
export function redirecting(status: 301 | 307 | 400, region: string, location?: string): ScriptedFault {
  const code =
    status === 301 ? "PermanentRedirect" : status === 307 ? "TemporaryRedirect" : "AuthorizationHeaderMalformed";
  const host = location === undefined ? undefined : /^https?:\/\/([^/]+)/.exec(location)?.[1];
  const more =
    (status === 400 ? element("Region", region) : "") + (host === undefined ? "" : element("Endpoint", host));
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>elsewhere</Message>${more}</Error>`;
  return {
    kind: "reply",
    status,
    body,
    headers: {
      "content-type": "application/xml",
      "x-amz-bucket-region": region,
      ...(location !== undefined && { location }),
    },
  };
}

/** 200, white space to keep the connection, and an error inside (copy, complete, delete many). */
export function errorInside200(code: string, apply = false): ScriptedFault {
  const { body, headers } = error(200, code, "We encountered an internal error. Please try again.");
  const [declaration, document] = String(body).split("\n") as [string, string];
  return { kind: "reply", status: 200, body: `${declaration}\n   \n ${document}`, headers, apply };
}

/** Was the request, or will it be, carried out? */
export function applies(fault: ScriptedFault | undefined): boolean {
  if (fault?.kind === "reply") return fault.apply === true && fault.early !== true;
  return fault === undefined || !("apply" in fault) || fault.apply;
}

export function send(
  req: IncomingMessage,
  res: ServerResponse,
  made: Made,
  fault: ScriptedFault | undefined,
  nowMs: number,
  close: boolean,
): void {
  const isHead = req.method === "HEAD";
  let { status, body } = made;
  let headers: Record<string, string> = {
    date: new Date(nowMs).toUTCString(),
    "x-amz-request-id": "REQ1",
    ...made.headers,
  };
  if (close) headers.connection = "close";
  if (fault?.kind === "reply") {
    status = fault.status;
    body = fault.body ?? "";
    headers = { ...headers, ...fault.headers };
  }
  if (fault?.kind === "edit") body = fault.edit(body.toString());
  if (fault?.kind === "reset") {
    req.socket.resetAndDestroy();
    return;
  }
  if (fault?.kind === "hang" && (fault.after ?? "nothing") === "nothing") return;
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
  if (fault?.kind === "cut") {
    cut(req, res, status, headers, bytes, fault);
    return;
  }
  const finish = () => res.end(isHead ? undefined : bytes);
  if (fault?.kind === "hold" && (fault.after ?? "nothing") === "nothing") {
    void fault.until.then(() => {
      res.writeHead(status, { ...headers, "content-length": bytes.length });
      finish();
    });
    return;
  }
  if (status === 204 || status === 304) {
    res.writeHead(status, headers);
    res.end();
    return;
  }
  res.writeHead(status, { ...headers, "content-length": bytes.length });
  if (fault?.kind === "hang" || fault?.kind === "hold") {
    res.flushHeaders();
    const half = fault.after === "half" ? Math.floor(bytes.length / 2) : 0;
    if (half > 0) res.write(bytes.subarray(0, half));
    if (fault.kind === "hold") void fault.until.then(() => res.end(isHead ? undefined : bytes.subarray(half)));
    return;
  }
  finish();
}

function cut(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  headers: Record<string, string>,
  bytes: Buffer,
  fault: Extract<ScriptedFault, { kind: "cut" }>,
): void {
  const raw = (given: Record<string, string | number>) =>
    `HTTP/1.1 ${status} OK\r\n${Object.entries(given)
      .map(([name, value]) => `${name}: ${value}`)
      .join("\r\n")}\r\n\r\n`;
  if ("at" in fault && (fault.at === "nothing" || fault.at === "in headers")) {
    const head = raw({ ...headers, "content-length": bytes.length });
    req.socket.end(fault.at === "nothing" ? "" : head.slice(0, Math.floor(head.length / 2)));
    return;
  }
  const part = bytes.subarray(0, "share" in fault ? Math.floor(bytes.length * fault.share) : lengthAt(bytes, fault.at));
  if (fault.frame === "length") {
    res.writeHead(status, { ...headers, "content-length": bytes.length });
    res.flushHeaders();
    res.write(part, () => req.socket.destroy());
  } else if (fault.frame === "matching") {
    res.writeHead(status, { ...headers, "content-length": part.length });
    res.end(part);
  } else {
    // Framed by the end of the connection: only the content can tell that it was cut.
    req.socket.end(Buffer.concat([Buffer.from(raw({ ...headers, connection: "close" })), part]));
  }
}

function lengthAt(bytes: Buffer, at: Cut): number {
  if (at === "after headers") return 0;
  if (at === "before last byte") return Math.max(0, bytes.length - 1);
  if (at === "mid body") return Math.floor(bytes.length / 2);
  // Within the tag that is nearest to the middle.
  const open = bytes.lastIndexOf("<", Math.floor(bytes.length / 2));
  return open < 0 ? Math.floor(bytes.length / 2) : open + 2;
}
