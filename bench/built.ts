/** The built packages, for what must be measured as a user's program has them. Builds when `dist` is missing or older than the sources. */
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../", import.meta.url));

export function build(why: string, say: (line: string) => void): void {
  if (!isStale()) return;
  say(`building the packages for ${why} (scripts/build.mjs)`);
  const { status } = spawnSync(process.execPath, [join(root, "scripts", "build.mjs")], { stdio: "inherit" });
  if (status !== 0) throw new Error("the packages could not be built");
}

function isStale(): boolean {
  return ["core", "lock"].some((name) => {
    const built = newestMs(join(root, "packages", name, "dist"), ".js");
    return built === 0 || built < newestMs(join(root, "packages", name, "src"), ".ts");
  });
}

function newestMs(folder: string, ending: string): number {
  try {
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(ending));
    return Math.max(0, ...files.map((file) => statSync(join(folder, file)).mtimeMs));
  } catch {
    return 0;
  }
}
