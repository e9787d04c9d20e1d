/** How answers of the emulator look: XML documents, escaped so that every key survives. */

export interface Made {
  readonly status: number;
  readonly body: string | Buffer;
  readonly headers: Record<string, string>;
}
export function xml(root: string, inner: string): Made {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</${root}>`;
  return { status: 200, body, headers: { "content-type": "application/xml" } };
}

export function error(status: number, code: string, message: string): Made {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${marked(message)}</Message><RequestId>REQ1</RequestId></Error>`;
  return { status, body, headers: { "content-type": "application/xml" } };
}

export function missing(): Made {
  return error(501, "NotImplemented", "A header or query you provided implies functionality that is not implemented");
}

export function marked(text: string): string {
  return text
    .replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/[\t\n\r]/g, (c) => `&#x${c.charCodeAt(0).toString(16)};`);
}

export function plain(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}
