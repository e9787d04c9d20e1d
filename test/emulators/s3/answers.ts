/** How answers of the emulator look: XML documents, escaped so that every key survives. */

export interface Made {
  readonly status: number;
  readonly body: string | Buffer;
  readonly headers: Record<string, string>;
}

export function xml(root: string, inner: string, headers: Record<string, string> = {}): Made {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</${root}>`;
  return { status: 200, body, headers: { "content-type": "application/xml", ...headers } };
}

/** `more`: further elements of the document, by name. */
export function error(
  status: number,
  code: string,
  message: string,
  more: Readonly<Record<string, string>> = {},
  headers: Record<string, string> = {},
): Made {
  const rest = Object.entries(more).map(([name, value]) => element(name, value));
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${marked(message)}</Message>${rest.join("")}<RequestId>REQ1</RequestId></Error>`;
  return { status, body, headers: { "content-type": "application/xml", ...headers } };
}

/** Thrown anywhere below a request: its answer instead of the normal one. */
export class Refusal extends Error {
  readonly made: Made;
  constructor(...[status, code, message, more, headers]: Parameters<typeof error>) {
    super(`${status} ${code}: ${message}`);
    this.made = error(status, code, message, more, headers);
  }
}

export function empty(status: number, headers: Record<string, string> = {}): Made {
  return { status, body: "", headers };
}

export function missing(): Made {
  return error(501, "NotImplemented", "A header or query you provided implies functionality that is not implemented");
}

export function element(name: string, value: string | number | boolean): string {
  return `<${name}>${marked(String(value))}</${name}>`;
}

export function marked(text: string): string {
  return text
    .replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/[\t\n\r]/g, (c) => `&#x${c.charCodeAt(0).toString(16)};`);
}

/** RFC 3339 with milliseconds, or in whole seconds without a fraction. */
export function instant(ms: number, wholeSeconds = false): string {
  const iso = new Date(ms).toISOString();
  return wholeSeconds ? iso.replace(/\.\d+Z/, "Z") : iso;
}
