/**
 * The shared config and credentials files of the AWS tools, as text: sections, nested settings, profiles. Pure. It reads no
 * file and judges no value. Source: "Shared config and credentials files", AWS SDKs and Tools reference guide, and where
 * that leaves something open the parser of the AWS SDK for JavaScript, beside which it is tested. (The well-kept npm
 * parsers do not fit: `ini` knows no nested settings, the SDK's own brings its whole core and reads files only
 * asynchronously.) A line that makes no sense is remembered, not thrown: it matters only to who uses its section.
 */

/** Settings of one section by name in lower case; a nested one is `s3.endpoint_url`. */
export interface SharedSection {
  readonly settings: ReadonlyMap<string, string>;
  /** Number of the first line that is no setting. */
  readonly badLine: number | undefined;
}
export type SharedSections = ReadonlyMap<string, SharedSection>;

export interface SharedFile {
  readonly path: string;
  /** Undefined: it is not there. */
  readonly text: string | undefined;
}

/** By the section's name as it stands between the brackets, its spaces made one and the quotes of its name removed. */
export function parseSections(text: string): SharedSections {
  const sections = new Map<string, { settings: Map<string, string>; badLine: number | undefined }>();
  let section: { settings: Map<string, string>; badLine: number | undefined } | undefined;
  let outer: string | undefined;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const said = line.split(/(?:^|\s)[;#]/, 1)[0]!.trim();
    if (said === "") continue;
    const [, heading] = /^\[(.*)\]$/.exec(said) ?? [];
    if (heading !== undefined) {
      const name = heading
        .trim()
        .replace(/\s+/g, " ")
        .replace(/ (["'])(.*)\1$/, " $2");
      section = sections.get(name) ?? { settings: new Map(), badLine: undefined };
      sections.set(name, section);
      outer = undefined;
      continue;
    }
    // What stands before the first section belongs to nobody.
    if (section === undefined) continue;
    const at = said.indexOf("=");
    if (at < 1) {
      section.badLine ??= index + 1;
      continue;
    }
    const name = said.slice(0, at).trim().toLowerCase();
    const value = said.slice(at + 1).trim();
    if (!/^\s/.test(line)) outer = undefined;
    if (value === "") outer = name;
    else section.settings.set(outer === undefined ? name : `${outer}.${name}`, value);
  }
  return sections;
}

/** A profile of both files; what the credentials file says wins. */
export interface Profile extends SharedSection {
  readonly name: string;
  /** The file of `badLine`. */
  readonly badFile: string | undefined;
}

export class SharedConfig {
  readonly files: readonly SharedFile[];
  readonly #config: SharedSections;
  readonly #credentials: SharedSections;

  constructor(config: SharedFile, credentials: SharedFile) {
    this.files = [config, credentials];
    this.#config = parseSections(config.text ?? "");
    this.#credentials = parseSections(credentials.text ?? "");
  }

  profile(name: string): Profile | undefined {
    // `[profile default]` wins over `[default]` as a whole.
    const bare = name === "default" ? this.#config.get("default") : undefined;
    const found = [this.#config.get(`profile ${name}`) ?? bare, this.#credentials.get(name)];
    if (found.every((section) => section === undefined)) return undefined;
    const bad = found.findIndex((section) => section?.badLine !== undefined);
    return {
      name,
      settings: new Map(found.flatMap((section) => [...(section?.settings ?? [])])),
      badLine: found[bad]?.badLine,
      badFile: this.files[bad]?.path,
    };
  }

  /** `[services name]`, which a profile names in its setting `services`. */
  services(name: string): ReadonlyMap<string, string> | undefined {
    return this.#config.get(`services ${name}`)?.settings;
  }
}
