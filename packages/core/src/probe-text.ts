/**
 * A probe's report as text for people, or as JSON. Pure; says nothing that is not in the report.
 */
import type { Finding, ProbeReport, ProtocolReport } from "./probe-report.js";

/** As text, lines of a terminal's width mostly; or with `"json"` the report itself, dates in ISO 8601. */
export function renderProbe(report: ProbeReport, as: "text" | "json" = "text"): string {
  if (as === "json") return JSON.stringify(report, null, 2);
  const { protocols, changes, notes } = report;
  const where = report.endpoint === undefined ? "" : ` at ${report.endpoint}`;
  const vendor = report.vendor === "unknown" ? "" : ` (${report.vendor})`;
  return [
    `${report.store}${where}${vendor}`,
    `probed ${report.probedAt}: ${report.requests} requests in ${seconds(report.durationMs)}`,
    "",
    ...Object.entries(protocols).flatMap(([name, protocol]) => protocolLines(name, protocol)),
    ...section("To change", changes),
    ...section("To know", notes),
    "Seen",
    ...facts(report).map(([name, value]) => `  ${name.padEnd(14)}${value}`),
    "",
  ].join("\n");
}

function protocolLines(name: string, { safe, because, reasons, cost }: ProtocolReport): string[] {
  const { put, list, get, delete: deletes } = cost.requests;
  const counts = [
    ...([put > 0 ? [`${put} PUT`] : [], list > 0 ? [`${list} LIST`] : []] as const),
    ...([get > 0 ? [`${get} GET`] : [], deletes > 0 ? [`${deletes} DELETE`] : []] as const),
  ].flat();
  const usd = cost.usdPer1000 === undefined ? "" : `; ${cost.usdPer1000} USD for 1,000`;
  return [
    `${name}: ${safe ? "safe here" : "NOT SAFE HERE"}`,
    ...because.map((line) => `  + ${line}`),
    ...reasons.map(({ code, text }) => `  - ${text} [${code}]`),
    ...(safe ? [`  acquire and release: ${counts.join(", ")}${usd}`] : []),
    "",
  ];
}

function section(title: string, findings: readonly Finding[]): string[] {
  if (findings.length === 0) return [];
  return [title, ...findings.map(({ code, text }) => `  ${text} [${code}]`), ""];
}

function facts(report: ProbeReport): [string, string][] {
  const { rights, conditions, listing, timestamps, clock, left } = report;
  const { races } = conditions;
  const step = (ms: number | undefined) => (ms === undefined ? "too few to tell" : `${ms} ms`);
  return [
    [
      "rights",
      Object.entries(rights)
        .map(([verb, right]) => `${verb} ${right}`)
        .join(", "),
    ],
    ["versions", report.versions],
    ["If-Match", `${IF_MATCH[conditions.ifMatch]}; losers ${conditions.losers}; on DELETE ${conditions.onDelete}`],
    [
      "races",
      `${races.oneWinner} of ${races.rounds} with one winner of ${races.racers}, ${races.withoutWinner} with none`,
    ],
    [
      "listings",
      `${listing.rounds} rounds: ${listing.missedAfterPut} missed a new object, ${listing.seenAfterDelete} showed a deleted one`,
    ],
    [
      "timestamps",
      `LIST in steps of ${step(timestamps.listStepMs)}, HEAD ${step(timestamps.headStepMs)}, backwards by ${timestamps.backwardMs} ms at most`,
    ],
    [
      "server clock",
      clock === undefined ? "unknown" : `${signed(clock.lowMs)} to ${signed(clock.highMs)} ms from ours`,
    ],
    ["multi-delete", report.multiDelete],
    ...(left.length > 0 ? [["left behind", left.join(", ")] satisfies [string, string]] : []),
  ];
}

const IF_MATCH = {
  asGiven: "with quotes only",
  both: "with quotes or without",
  bareOnly: "only without the quotes of the ETag",
  never: "never matches",
  untried: "not tried",
} as const satisfies Record<ProbeReport["conditions"]["ifMatch"], string>;

function signed(ms: number): string {
  return `${ms < 0 ? "" : "+"}${Math.round(ms)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
