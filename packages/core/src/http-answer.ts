/**
 * The answer to one HTTP request. Its head stays as it came over the wire and is read only where somebody asks: most of it nobody
 * ever does. It judges nothing.
 */
import type { HttpFlow } from "./http-flow.js";

export interface HttpAnswer {
  readonly status: number;
  /** First value of a header given twice (versitygw sends two x-amz-request-id). Name in lower case. */
  header(name: string): string | undefined;
  /** Names in lower case. */
  readonly headerNames: readonly string[];
  /** Empty where it flows. */
  readonly body: Uint8Array;
  readonly flow?: HttpFlow | undefined;
}

/** Names and values in turns, in bytes of Latin 1 (RFC 9110 5.5). */
export type RawHead = readonly Buffer[];

export class RawAnswer implements HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  readonly flow: HttpFlow | undefined;
  readonly #head: RawHead;
  #names: readonly string[] | undefined;

  constructor(status: number, head: RawHead, body: Uint8Array, flow: HttpFlow | undefined) {
    this.status = status;
    this.body = body;
    this.flow = flow;
    this.#head = head;
  }

  header(name: string): string | undefined {
    return headerOf(this.#head, name);
  }

  get headerNames(): readonly string[] {
    this.#names ??= namesOf(this.#head);
    return this.#names;
  }
}

/** The first value of that header; its name in lower case. */
export function headerOf(head: RawHead, name: string): string | undefined {
  for (let at = 0; at + 1 < head.length; at += 2) {
    if (isNamed(head[at]!, name)) return head[at + 1]!.toString("latin1");
  }
  return undefined;
}

function namesOf(head: RawHead): readonly string[] {
  const names = new Set<string>();
  for (let at = 0; at + 1 < head.length; at += 2) names.add(head[at]!.toString("latin1").toLowerCase());
  return [...names];
}

function isNamed(bytes: Buffer, name: string): boolean {
  if (bytes.length !== name.length) return false;
  for (let at = 0; at < name.length; at++) {
    const byte = bytes[at]!;
    if ((byte >= 65 && byte <= 90 ? byte + 32 : byte) !== name.charCodeAt(at)) return false;
  }
  return true;
}
