/**
 * RFC 3986 encoding as signature version 4 wants it, and S3 object paths. Pure text; it never parses a URL and never
 * removes a `.` segment or an empty one, because S3 signs what was sent.
 */

/** A name and a value, both not encoded yet. */
export type Pair = readonly [name: string, value: string];

// encodeURIComponent leaves these five alone (ECMA-262 19.2.6.4); RFC 3986 2.2 reserves them and S3 signs them escaped.
const LEFT_BARE = /[!'()*]/g;
const ALL_UNRESERVED = /^[A-Za-z0-9\-._~]*$/;
const ALL_UNRESERVED_OR_SLASH = /^[A-Za-z0-9\-._~/]*$/;

function escapeBare(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/**
 * Every byte but the unreserved ones (RFC 3986 2.3) as `%XX` of its UTF-8, capitals, a space as `%20`, a slash as `%2F`.
 * Throws URIError on a lone surrogate, which has no UTF-8.
 */
export function encodeRfc3986(text: string): string {
  if (ALL_UNRESERVED.test(text)) return text;
  return encodeURIComponent(text).replace(LEFT_BARE, escapeBare);
}

/** As encodeRfc3986 with slashes kept: an object key as the path of a request. Done once, never twice (the S3 rule). */
export function encodePath(path: string): string {
  if (ALL_UNRESERVED_OR_SLASH.test(path)) return path;
  return encodeRfc3986(path).replaceAll("%2F", "/");
}

/**
 * The canonical query string: encoded, then sorted by name and value in byte order (encoded text is ASCII, so comparing
 * strings is comparing bytes). It is also what we send, so that no server can disagree about it.
 */
export function canonicalQuery(pairs: readonly Pair[]): string {
  if (pairs.length === 0) return "";
  const encoded = pairs.map(([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const);
  encoded.sort(([an, av], [bn, bv]) => (an < bn ? -1 : an > bn ? 1 : av < bv ? -1 : av > bv ? 1 : 0));
  return encoded.map(([name, value]) => `${name}=${value}`).join("&");
}

/**
 * Path normalisation of the generic signature rules (RFC 3986 5.2.4 and doubled slashes made one). S3 never does it:
 * `a//b` and `a/b` are two objects there.
 */
export function normalizePath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") kept.pop();
    else if (segment !== "." && segment !== "") kept.push(segment);
  }
  const joined = `/${kept.join("/")}`;
  return joined !== "/" && path.endsWith("/") ? `${joined}/` : joined;
}

/** `%XX` back to text; undefined where that is no UTF-8 or no escape. `plus`: a `+` was a space. */
export function decodePercent(text: string, plus: boolean): string | undefined {
  try {
    return decodeURIComponent(plus ? text.replaceAll("+", "%20") : text);
  } catch {
    return undefined;
  }
}
