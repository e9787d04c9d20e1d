/**
 * Reading source text far enough for the tidy rules: without comments, without what stands in quotes, and its imports.
 * A small scanner, no parser: it must never take a comment for code or the other way round, and knows no more.
 */

export interface Import {
  readonly from: string;
  /** Names imported by an import statement; empty for `import()` and for re-exports of everything. */
  readonly names: readonly string[];
}

/** Comments become spaces (line breaks stay, so that line numbers hold); strings stay. */
export const withoutComments = (text: string): string => scan(text, { blankStrings: false });

/** Comments and the text of strings, templates and regular expressions become spaces; code inside `${}` stays. */
export const onlyCode = (text: string): string => scan(text, { blankStrings: true });

// A slash after one of these begins a regular expression; after anything else it divides.
const BEFORE_REGEX = /(?:[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void|throw|await|yield))\s*$/;

function scan(text: string, { blankStrings }: { blankStrings: boolean }): string {
  let out = "";
  // What the braces that are open now belong to: a template's `${`, or plain code.
  const braces: ("template" | "code")[] = [];
  let i = 0;

  const blank = (end: number) => {
    out += text.slice(i, end).replace(/[^\n]/g, " ");
    i = end;
  };
  const keep = (end: number) => {
    out += text.slice(i, end);
    i = end;
  };
  const literal = (end: number) => (blankStrings ? blank(end) : keep(end));

  /** From just behind a backtick or a closing brace to the next `${` or the closing backtick. */
  const template = () => {
    let end = i;
    while (end < text.length && text[end] !== "`" && !text.startsWith("${", end)) end += text[end] === "\\" ? 2 : 1;
    literal(Math.min(end, text.length));
    if (text.startsWith("${", i)) {
      braces.push("template");
      keep(i + 2);
    } else keep(i + 1);
  };

  while (i < text.length) {
    const at = text[i]!;
    if (text.startsWith("//", i)) {
      const end = text.indexOf("\n", i);
      blank(end === -1 ? text.length : end);
    } else if (text.startsWith("/*", i)) {
      const end = text.indexOf("*/", i + 2);
      blank(end === -1 ? text.length : end + 2);
    } else if (at === '"' || at === "'") {
      let end = i + 1;
      while (end < text.length && text[end] !== at && text[end] !== "\n") end += text[end] === "\\" ? 2 : 1;
      keep(i + 1);
      literal(Math.min(end, text.length));
      keep(i + 1);
    } else if (at === "`") {
      keep(i + 1);
      template();
    } else if (at === "{") {
      braces.push("code");
      keep(i + 1);
    } else if (at === "}") {
      keep(i + 1);
      if (braces.pop() === "template") template();
    } else if (at === "/" && (out.trim() === "" || BEFORE_REGEX.test(out.slice(-40)))) {
      literal(regexEnd(text, i));
    } else keep(i + 1);
  }
  return out;
}

function regexEnd(text: string, start: number): number {
  let inClass = false;
  for (let i = start + 1; i < text.length && text[i] !== "\n"; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "[") inClass = true;
    else if (text[i] === "]") inClass = false;
    else if (text[i] === "/" && !inClass) return i + 1;
  }
  return start + 1;
}

export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  const found: Import[] = [];
  const statement = /\b(?:import|export)\b([^"'`;()]*?)\bfrom\s*["']([^"']+)["']/g;
  for (const [, clause, from] of code.matchAll(statement)) found.push({ from: from!, names: namesIn(clause!) });
  for (const [, from] of code.matchAll(/\bimport\s*["']([^"']+)["']/g)) found.push({ from: from!, names: [] });
  for (const [, from] of code.matchAll(/\b(?:import|require)\s*\(\s*["']([^"']+)["']/g)) {
    found.push({ from: from!, names: [] });
  }
  return found;
}

function namesIn(clause: string): string[] {
  const inBraces = /\{([^}]*)\}/.exec(clause)?.[1] ?? "";
  return inBraces
    .split(",")
    .map((name) =>
      name
        .trim()
        .replace(/^type\s+/, "")
        .replace(/\s+as\s.*$/, ""),
    )
    .filter((name) => name !== "");
}
