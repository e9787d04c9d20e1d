/**
 * Says at the end of a run which rings ran: one line for each folder of tests, then every skipped test with its reason.
 * Reports only; it never changes what counts as failed.
 */
import type { Reporter, TestModule } from "vitest/node";

interface Row {
  passed: number;
  failed: number;
  skipped: number;
  durationMs: number;
}

export default class RingsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = new Map<string, Row>();
    const skips = new Map<string, string[]>();
    for (const module of modules) {
      const name = ringOf(module);
      const row = rows.get(name) ?? { passed: 0, failed: 0, skipped: 0, durationMs: 0 };
      rows.set(name, row);
      row.durationMs += module.diagnostic().duration;
      const failedBefore = row.failed;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") row.passed++;
        else if (result.state === "failed") row.failed++;
        else {
          row.skipped++;
          const why = (result.state === "skipped" ? result.note : undefined) ?? "not asked for";
          skips.set(why, [...(skips.get(why) ?? []), `${module.relativeModuleId} > ${test.fullName}`]);
        }
      }
      // A file that could not be loaded, or whose set-up failed, has no failed test to count.
      if (module.state() === "failed" && row.failed === failedBefore) row.failed++;
    }
    console.log(`\nRings run (Node ${process.version}):`);
    for (const [name, row] of [...rows].sort(([a], [b]) => a.localeCompare(b))) {
      const counts = `${row.passed} passed, ${row.failed} failed, ${row.skipped} skipped`;
      console.log(`  ${name.padEnd(24)} ${counts.padEnd(40)} ${(row.durationMs / 1000).toFixed(1)} s`);
    }
    if (skips.size > 0) console.log("Skipped:");
    for (const [why, tests] of skips) {
      console.log(`  because: ${why}`);
      for (const test of tests) console.log(`    ${test}`);
    }
  }
}

function ringOf(module: TestModule): string {
  const folder = module.relativeModuleId.split("/").slice(0, -1).join("/").split("/")[0];
  const name = folder === undefined || folder === "" ? "(top)" : folder;
  return module.project.name === "live" ? `ring 5: ${name}` : name;
}
