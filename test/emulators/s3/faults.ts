/** What can go wrong with an answer, and sending it so. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Made } from "./answers.js";

/** What happened to a request instead of, or around, its normal answer. */
export type ScriptedFault =
  | {
      readonly kind: "reply";
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
      readonly apply?: boolean;
    }
  /** The connection is reset: before anything was done, or after. */
  | { readonly kind: "reset"; readonly apply: boolean }
  /** No answer ever. `after`: nothing, the headers, or half the body. */
  | { readonly kind: "hang"; readonly apply: boolean; readonly after?: "nothing" | "headers" | "half" }
  /** The answer is cut after this share of its body; the length header is honest (`length`) or the body ends with the connection (`close`). */
  | { readonly kind: "cut"; readonly share: number; readonly frame: "length" | "close" | "matching" }
  /** The body is changed. */
  | { readonly kind: "edit"; readonly edit: (body: string) => string };

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
  const bytes = Buffer.from(body as string);
  if (fault?.kind === "cut") {
    const part = bytes.subarray(0, Math.floor(bytes.length * fault.share));
    if (fault.frame === "length") {
      res.writeHead(status, { ...headers, "content-length": bytes.length });
      res.write(part, () => req.socket.destroy());
    } else if (fault.frame === "matching") {
      res.writeHead(status, { ...headers, "content-length": part.length });
      res.end(part);
    } else {
      // Framed by the end of the connection: only the content can tell that it was cut.
      const lines = Object.entries({ ...headers, connection: "close" }).map(([name, value]) => `${name}: ${value}`);
      req.socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} OK\r\n${lines.join("\r\n")}\r\n\r\n`), part]));
    }
    return;
  }
  if (status === 204) {
    res.writeHead(status, headers);
    res.end();
    return;
  }
  res.writeHead(status, { ...headers, "content-length": bytes.length });
  if (fault?.kind === "hang") {
    res.flushHeaders();
    if (fault.after === "half") res.write(bytes.subarray(0, Math.floor(bytes.length / 2)));
    return;
  }
  res.end(isHead ? undefined : bytes);
}
