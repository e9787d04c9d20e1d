/** Reads the XML documents that clients send: elements, text, entities. Attributes and processing instructions are skipped. */
import { Refusal } from "./answers.js";

export interface Element {
  readonly name: string;
  readonly children: readonly Element[];
  /** Of this element itself, entities decoded. */
  readonly text: string;
  /** As it came, between its tags. */
  readonly raw: string;
}

const TAG = /<(?:\?[\s\S]*?\?|!--[\s\S]*?--|(\/?)([^\s/>]+)([^>]*?)(\/?))>/g;
const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/** The root element, which must have this name; throws 400 MalformedXML. */
export function readDocument(body: Buffer, root: string): Element {
  const source = body.toString("utf8");
  const open: { name: string; children: Element[]; text: string; from: number }[] = [];
  let found: Element | undefined;
  let at = 0;
  for (const match of source.matchAll(TAG)) {
    const between = source.slice(at, match.index);
    at = match.index + match[0].length;
    const top = open.at(-1);
    if (top !== undefined) top.text += decoded(between);
    else if (between.trim() !== "") throw malformed();
    const [, closing, tag, , single] = match;
    if (tag === undefined) continue;
    const name = tag.slice(tag.indexOf(":") + 1);
    if (closing === "/") {
      if (top?.name !== name) throw malformed();
      open.pop();
      const element = { name, children: top.children, text: top.text, raw: source.slice(top.from, match.index) };
      if (open.length > 0) open.at(-1)!.children.push(element);
      else found = element;
    } else if (single === "/") {
      const element = { name, children: [], text: "", raw: "" };
      if (top === undefined) found = element;
      else top.children.push(element);
    } else open.push({ name, children: [], text: "", from: at });
  }
  if (found === undefined || open.length > 0 || found.name !== root || source.slice(at).trim() !== "")
    throw malformed();
  return found;
}

export function child(element: Element | undefined, name: string): Element | undefined {
  return element?.children.find((inner) => inner.name === name);
}

export function textOf(element: Element | undefined, name: string): string | undefined {
  return child(element, name)?.text;
}

export function malformed(): Refusal {
  return new Refusal(400, "MalformedXML", "The XML you provided was not well-formed or did not validate");
}

function decoded(text: string): string {
  return text.replace(/&(#x?[0-9a-fA-F]+|\w+);/g, (_whole, name: string) => {
    if (name.startsWith("#x")) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
    return ENTITIES[name] ?? "";
  });
}
