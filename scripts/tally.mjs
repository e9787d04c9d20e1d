/**
 * Sums the JSON reports of several test runs into one line, `N passed, N failed, N skipped`, and fails when anything did.
 * Arguments: `EXIT_CODE=REPORT` each, `-` for a step without tests. A run that failed without a failed test in its report,
 * or left none, counts as one failure: nothing that went wrong is ever summed away.
 */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

export function tally(runs) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { code, report } of runs) {
    const counts = report === undefined ? { passed: 0, failed: 0, skipped: 0 } : count(report);
    sum.passed += counts.passed;
    sum.skipped += counts.skipped;
    sum.failed += code !== 0 && counts.failed === 0 ? 1 : counts.failed;
  }
  return sum;
}

function count(report) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report.testResults) {
    let failedHere = 0;
    for (const { status } of file.assertionResults) {
      if (status === "passed") counts.passed++;
      else if (status === "failed") failedHere++;
      else counts.skipped++;
    }
    // A file that could not be loaded has no test of its own.
    counts.failed += file.status === "failed" && failedHere === 0 ? 1 : failedHere;
  }
  return counts;
}

function read(argument) {
  const at = argument.indexOf("=");
  const code = Number(argument.slice(0, at));
  const path = argument.slice(at + 1);
  if (path === "-") return { code };
  try {
    return { code, report: JSON.parse(readFileSync(path, "utf8")) };
  } catch {
    return { code: code === 0 ? 1 : code };
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { passed, failed, skipped } = tally(process.argv.slice(2).map(read));
  // No test at all is no success.
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}
