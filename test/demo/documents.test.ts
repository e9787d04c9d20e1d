/**
 * The code in README.md, docs/ and the packages' READMEs is real: every `ts` block compiles and, unless an HTML comment
 * `<!-- not run... -->` stands before it, runs to a good end; every `npm run` of a shell block exists.
 * A block that names a directory below /tmp gets one of its own, one that opens a session from the environment an S3 server
 * of its own: the emulator, with object lock.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { S3Emulator } from "../emulators/s3/emulator.js";
import { useWorkers } from "../processes.js";

interface Block {
  readonly file: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
  readonly isRun: boolean;
}

const start = useWorkers();
const root = fileURLToPath(new URL("../../", import.meta.url));

function documents(): string[] {
  const inFolder = (folder: string) =>
    existsSync(join(root, folder)) ? readdirSync(join(root, folder)).map((name) => join(folder, name)) : [];
  const recipes = inFolder(join("docs", "recipes"));
  const readmes = inFolder("packages").map((folder) => join(folder, "README.md"));
  return ["README.md", "CONTRIBUTING.md", ...inFolder("docs"), ...recipes, ...readmes].filter(
    (file) => file.endsWith(".md") && existsSync(join(root, file)),
  );
}

function blocksOf(file: string, markdown: string): Block[] {
  return [...markdown.matchAll(/^( *)(```|~~~)(\w*)[^\n]*\n([\s\S]*?)^\1\2 *$/gm)].map((match) => {
    const [, , , language = "", text = ""] = match;
    const before = markdown.slice(0, match.index).trimEnd();
    const isRun = !/<!--\s*not run[^>]*-->$/i.test(before);
    return { file, line: markdown.slice(0, match.index).split("\n").length, language, text, isRun };
  });
}

const blocks = documents().flatMap((file) => blocksOf(file, readFileSync(join(root, file), "utf8")));
const programs = blocks.filter(({ language }) => language === "ts" || language === "typescript");

// Below test/, so that blocks find the workspace's packages; hidden, so that no other tool takes them for sources.
const folder = mkdtempSync(fileURLToPath(new URL("./.documents-", import.meta.url)));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nameOf = ({ file, line }: Block) => `${file.replace(/[^A-Za-z0-9]+/g, "-")}-${line}.ts`;
for (const block of programs) {
  const text = block.text.replaceAll(/\/tmp\/[\w-]+/g, () => join(folder, `store-${block.line}`));
  writeFileSync(join(folder, nameOf(block)), text);
}

test.skipIf(programs.length === 0)("every ts block compiles", () => {
  const base = relative(folder, join(root, "tsconfig.base.json"));
  const options = { noEmit: true, moduleDetection: "force", noUnusedLocals: false, noUnusedParameters: false };
  const config = { extends: base, compilerOptions: options, files: programs.map(nameOf) };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const manifest = createRequire(join(root, "package.json")).resolve("typescript/package.json");
  const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { bin: { tsc: string } };
  const { stdout } = spawnSync(process.execPath, [join(dirname(manifest), bin.tsc), "-p", folder], {
    encoding: "utf8",
  });
  // Errors of the packages' own sources are not the documents' (npm run check tells them).
  const errors = stdout.split("\n").filter((line) => line.includes(basename(folder)) || line.startsWith("error"));
  expect(errors).toEqual([]);
});

describe("ts blocks run", () => {
  test.each(programs.filter(({ isRun }) => isRun).map((block) => [`${block.file}:${block.line}`, block] as const))(
    "%s",
    async (_where, block) => {
      const emulator = /S3Session\.fromEnv\(\)/.test(block.text)
        ? await S3Emulator.start({ objectLock: true })
        : undefined;
      try {
        const program = start(join(folder, nameOf(block)), emulator === undefined ? {} : { env: envOf(emulator) });
        const exit = await program.exit();
        expect([exit, program.stderr]).toEqual([{ code: 0, signal: null }, ""]);
        expect(emulator?.unknown ?? []).toEqual([]);
      } finally {
        await emulator?.stop();
      }
    },
  );
});

function envOf({ keys, region, endpoint, bucket }: S3Emulator): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_REGION: region,
    AWS_ENDPOINT_URL: endpoint,
    BUCKETLOCK_BUCKET: bucket,
  };
}

test("every npm command of a shell block exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
  const unknown = blocks
    .filter(({ language }) => ["sh", "shell", "bash", "console"].includes(language))
    .flatMap(({ file, line, text }) =>
      [...text.matchAll(/^(?:\$ )?npm (?:run ([\w:-]+)|(test)\b)/gm)].map((match) => ({
        where: `${file}:${line}`,
        script: match[1] ?? match[2]!,
      })),
    )
    .filter(({ script }) => !(script in scripts));
  expect(unknown).toEqual([]);
});

test("blocks are found with their comments", () => {
  const markdown = "a\n\n<!-- not run: needs a bucket -->\n```ts\none\n```\n\n```ts\ntwo\n```\n";
  expect(blocksOf("x.md", markdown).map(({ text, isRun, line }) => [text, isRun, line])).toEqual([
    ["one\n", false, 4],
    ["two\n", true, 8],
  ]);
});
