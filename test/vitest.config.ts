/**
 * The rings as vitest runs them. `fast` (rings 1 to 4, tidy, packaging) needs nothing but this machine; `live` is ring 5:
 * real servers and real processes, two files at a time, after everything else. Tests import source through the
 * custom condition, so nothing needs building first.
 */
import { defineConfig } from "vitest/config";

// Not "module", which Node does not know: what is not inlined is loaded by Node itself.
const conditions = ["@bucketlock/source", "node", "import", "default"];
const live = ["live/**/*.test.ts", "**/*.live.test.ts"];
// Where .ci/run wants the counts.
const report = process.env.BUCKETLOCK_REPORT;
const never = ["**/node_modules/**"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    root: import.meta.dirname,
    server: { deps: { inline: [/@bucketlock\//] } },
    reporters: [
      "default",
      "./rings-reporter.ts",
      ...(report === undefined ? [] : [["json", { outputFile: report }] as ["json", { outputFile: string }]]),
    ],
    // Ample, since a machine may be slow and busy: what hangs is found all the same.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    // The servers of ring 5 end one after the other.
    teardownTimeout: 60_000,
    expect: { poll: { timeout: 60_000, interval: 10 } },
    // Vitest leaves one core free, which on two is half of them.
    maxWorkers: "100%",
    projects: [
      {
        extends: true,
        test: {
          name: "fast",
          include: ["**/*.test.ts"],
          exclude: [...live, ...never],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "live",
          include: live,
          exclude: never,
          globalSetup: ["./servers/ring5.ts"],
          // They wait more than they compute. More at once would make their leases run out for want of a processor.
          maxWorkers: 2,
          testTimeout: 300_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
