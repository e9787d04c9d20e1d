/**
 * The documents that S3 servers send nearly always: elements and text, no attribute but the root's, no comment, nothing mixed. Read
 * in one pass, into the tree that the parser of xml.ts makes of them, for a tenth of what that costs: half of a listing of few keys.
 * Pure. Whatever is not as plain, or not whole, it leaves to that parser, to read or to refuse.
 */

/** Text, or children by name; those of one name that came more than once, or always make a list, as one. */
export type PlainValue = string | PlainNode | readonly PlainValue[];
export interface PlainNode {
  [name: string]: PlainValue | PlainValue[];
}
export interface PlainDocument {
  readonly name: string;
  readonly value: string | PlainNode;
}

/** Does this element always make a list? `path`: the names from the root down to it, dots between. */
export type IsList = (name: string, path: () => string) => boolean;

const START = /^[ \t\n]*(?:<\?xml [^<>]*\?>[ \t\n]*)?<([A-Za-z][A-Za-z0-9]*)(?: [A-Za-z:]+="[^"<>&]*")*>/;
const NAME = /^[A-Za-z][A-Za-z0-9]*$/;
/** Names that every object has are none of S3's. */
const isName = (name: string) => NAME.test(name) && !(name in Object.prototype);
/** `&` begins what XML itself defines. */
const ENTITIES = /^[^&]*(?:&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});[^&]*)*$/;
const BLANK = /^[ \t\n]*$/;
const DEPTH_MAX = 16;
/** A shorter part of a text is a text of its own to V8; a longer one keeps the whole in memory. */
const SLICED_FROM = 13;

/** Undefined: not as plain. */
export function plainDocument(source: string, isList: IsList): PlainDocument | undefined {
  const start = START.exec(source);
  const root = start?.[1];
  if (start === null || root === undefined || !isName(root) || isList(root, () => root)) return undefined;
  // Carriage returns become something else, and a page is no document.
  if (/^html$/i.test(root) || source.includes("\r")) return undefined;
  const names = [root];
  // Undefined: no child so far.
  const nodes: (PlainNode | undefined)[] = [undefined];
  const path = () => names.join(".");
  for (let at = start[0].length; ; ) {
    const open = source.indexOf("<", at);
    const close = source.indexOf(">", open);
    if (open < 0 || close < 0) return undefined;
    const isEnd = source.charCodeAt(open + 1) === SLASH;
    const isEmpty = !isEnd && source.charCodeAt(close - 1) === SLASH;
    const name = source.slice(isEnd ? open + 2 : open + 1, isEmpty ? close - 1 : close);
    const node = nodes.at(-1);
    const text = source.slice(at, open);
    at = close + 1;
    if (isEnd) {
      if (name !== names.at(-1) || !(node === undefined ? isText(text) : BLANK.test(text))) return undefined;
      const value = node ?? own(text);
      if (names.length === 1) return BLANK.test(source.slice(at)) ? { name, value } : undefined;
      add(nodes, name, value, isList(name, path));
      names.pop();
      nodes.pop();
      continue;
    }
    if (!BLANK.test(text) || !isName(name) || names.length === DEPTH_MAX) return undefined;
    names.push(name);
    nodes.push(undefined);
    if (!isEmpty) continue;
    add(nodes, name, "", isList(name, path));
    names.pop();
    nodes.pop();
  }
}

const SLASH = 47;

/** To the last but one. */
function add(nodes: (PlainNode | undefined)[], name: string, value: PlainValue, isList: boolean): void {
  const at = nodes.length - 2;
  nodes[at] ??= {};
  const parent = nodes[at];
  const before = Object.hasOwn(parent, name) ? parent[name] : undefined;
  if (before === undefined) parent[name] = isList ? [value] : value;
  else if (Array.isArray(before)) before.push(value);
  else parent[name] = [before, value];
}

function isText(text: string): boolean {
  return !text.includes(">") && (!text.includes("&") || ENTITIES.test(text));
}

function own(text: string): string {
  return text.length < SLICED_FROM ? text : ` ${text}`.slice(1);
}
