/**
 * The tidy rules as pure functions from files to complaints, so that each can be shown to fail. A complaint names the
 * file, the fact and what to do. They read no disk.
 */
import { posix } from "node:path";
import {
  codeLinesMax,
  longer,
  mayImport,
  onlyChance,
  onlyHttp,
  onlyTime,
  order,
  type PackageName,
  packages,
  type Room,
  rooms,
} from "./rooms.js";
import { importsOf, onlyCode, withoutComments } from "./source.js";

/** A file of packages/, its path below that: `core/src/clock.ts`. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}
export type Rule = (file: SourceFile) => string[];

const TIME = /\b(?:Date|performance|setTimeout|setInterval|setImmediate|hrtime)\b/g;
const CHANCE = /\bMath\s*\.\s*random\b|\b(?:randomUUID|randomBytes|randomInt|getRandomValues)\b/g;
const NAMES_BANNED = /(?:^|[-/])(?:utils?|helpers?|types?|managers?|common|misc)\.ts$|impl\.ts$/i;

export const sourceRules: Readonly<Record<string, Rule>> = {
  "only clock.ts names time": ({ path, text }) =>
    path === onlyTime ? [] : named(text, TIME, "take a Clock instead (core/src/clock.ts)"),

  "only random.ts names chance": ({ path, text }) =>
    path === onlyChance ? [] : named(text, CHANCE, "take a Random instead (core/src/random.ts)"),

  "only request.ts imports undici": ({ path, text }) =>
    path === onlyHttp
      ? []
      : importsOf(text)
          .filter(({ from }) => /^(?:undici|node:https?2?)(?:\/|$)/.test(from))
          .map(({ from }) => `imports ${from}: requests go through ${onlyHttp}`),

  "every file has a room": ({ path }) =>
    roomOf(path) === undefined
      ? [`belongs to no room: say in test/tidy/rooms.ts whether it is law (pure), hands (I/O) or voice (public verbs)`]
      : [],

  "imports go down only": (file) => importsOf(file.text).flatMap(({ from, names }) => climbs(file.path, from, names)),

  "law is pure": ({ path, text }) =>
    roomOf(path) !== "law"
      ? []
      : [
          ...named(text, /\b(?:async|await|console|process)\b/g, "law decides, hands act: hand the value in"),
          ...importsOf(text)
            .filter(({ from }) => from.startsWith("node:") && from !== "node:crypto")
            .map(({ from }) => `imports ${from}: law does no I/O`),
        ],

  "opens with what it does": ({ text }) =>
    text.replace(/^#!.*\n/, "").startsWith("/**")
      ? []
      : ["does not open with a /** comment: what it decides or does, what it never does"],

  "is not too long": ({ path, text }) => {
    const max = longer[path] ?? codeLinesMax;
    const lines = withoutComments(text)
      .split("\n")
      .filter((line) => line.trim() !== "").length;
    return lines > max ? [`has ${lines} lines of code, more than ${max}: split it by noun`] : [];
  },

  "is named after a noun": ({ path }) => (NAMES_BANNED.test(path) ? ["has a name that says nothing"] : []),

  "has no default export": ({ text }) => named(text, /\bexport\s+default\b/g, "export it by name"),
};

export function roomOf(path: string): Room | undefined {
  const [, name, file] = /^([^/]+)\/src\/(.+)\.ts$/.exec(path) ?? [];
  if (name === undefined || file === undefined) return undefined;
  if (file.startsWith("testing/")) return "testing";
  return order.find((room) => rooms[name as PackageName]?.[room]?.includes(file));
}

/** Files that rooms.ts names but that are not there. */
export function missingFiles(paths: readonly string[]): string[] {
  return packages.flatMap((name) =>
    Object.values(rooms[name])
      .flat()
      .map((file) => `${name}/src/${file}.ts`)
      .filter((path) => !paths.includes(path))
      .map((path) => `${path}: named in test/tidy/rooms.ts but not there`),
  );
}

function climbs(path: string, from: string, names: readonly string[]): string[] {
  const own = path.split("/")[0] as PackageName;
  const room = roomOf(path);
  const foreign = /^@bucketlock\/([^/]+)(\/testing)?/.exec(from);
  if (foreign !== null) {
    const [, name, testing] = foreign as unknown as [string, PackageName, string | undefined];
    if (!mayImport[own].includes(name))
      return [`imports ${from}: ${own} may import ${mayImport[own].join(", ") || "none of ours"}`];
    if (testing !== undefined && room !== "testing") return [`imports ${from}: only testing/ may`];
    // Across packages only names tell the rooms: what opens or makes a store is hands.
    const hands = names.filter((imported) => /^(?:open|create)[A-Z]/.test(imported));
    return room === "law" && hands.length > 0 ? [`imports ${hands.join(", ")}: law does not import hands`] : [];
  }
  if (!from.startsWith(".")) return [];
  const target = posix.join(posix.dirname(path), from).replace(/\.js$/, ".ts");
  if (!target.startsWith(`${own}/src/`)) return [`imports ${from}: outside its package`];
  const targetRoom = roomOf(target);
  // A file without a room has its own complaint.
  if (room === undefined || targetRoom === undefined) return [];
  if (order.indexOf(targetRoom) <= order.indexOf(room)) return [];
  return [`imports ${from}: ${room} must not import ${targetRoom}`];
}

function named(text: string, banned: RegExp, instead: string): string[] {
  const code = onlyCode(text);
  return [...code.matchAll(banned)].map((match) => {
    const line = code.slice(0, match.index).split("\n").length;
    return `line ${line} names ${match[0]}: ${instead}`;
  });
}

// -- The whole project's text files -------------------------------------------------------------------------------------

const MACHINE_PATH = /(?<![\w.~-])\/(?:work|root|home)\/[\w.-]+/g;
const REGISTRY =
  /\b(?:registry\.npmjs\.org|pypi\.org|files\.pythonhosted\.org|proxy\.golang\.org|deb\.debian\.org|crates\.io)\b/g;

/** Nothing that holds on one machine only. */
export function machineTraces(text: string): string[] {
  return [...text.matchAll(MACHINE_PATH), ...text.matchAll(REGISTRY)].map(
    (match) => `line ${text.slice(0, match.index).split("\n").length}: ${match[0]}`,
  );
}

/** Relative links of a Markdown file that lead nowhere. `textOf`: a file's text, "" for a directory, else undefined. */
export function deadLinks(path: string, text: string, textOf: (path: string) => string | undefined): string[] {
  const prose = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").replace(/`[^`\n]*`/g, "");
  const links = [...prose.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map(([, link]) => link!);
  return links
    .filter((link) => !/^[a-z][a-z0-9+.-]*:/i.test(link))
    .flatMap((link) => {
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : posix.join(posix.dirname(path), decodeURIComponent(file));
      const found = file === "" ? text : textOf(target);
      if (found === undefined) return [`links to ${link}, which is not there`];
      if (anchor === undefined || !target.endsWith(".md") || anchors(found).has(anchor)) return [];
      return [`links to ${link}, but ${target} has no such heading`];
    });
}

/** As the usual forges make them of headings. */
function anchors(markdown: string): Set<string> {
  const headings = [...markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)];
  return new Set(
    headings.map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replace(/\s/g, "-"),
    ),
  );
}
