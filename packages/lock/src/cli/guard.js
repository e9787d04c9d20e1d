/**
 * The guard: a small process beside the command that ends it when the wrapper cannot any more. It reads orders from its
 * standard input, one JSON a line: whom to watch, and until when. The wrapper gone (end of input): TERM, then KILL. The time
 * over without news (the wrapper stopped, or hung): KILL. Knows no lock, no store and no credential, and keeps none of the
 * command's files open. Plain JavaScript, so that it starts at once also where this package runs from source.
 *
 * Times are absolute, on clocks that all processes of a host share (CLOCK_MONOTONIC; the uptime, which counts suspends too):
 * an order that lay in the pipe while somebody was stopped is not younger for it.
 */
import { uptime } from "node:os";
import { createInterface } from "node:readline";
import { anyAlive, killAll } from "./offspring.js";

/**
 * @typedef {object} Until
 * @property {number} monotonicMs By process.hrtime.
 * @property {number} uptimeMs
 */

const TICK_MS = 100;
// The uptime has steps, on some systems of a second.
const UPTIME_STEP_MS = 1_000;

/** @type {import("./offspring.js").Offspring | undefined} */
let watched;
/** @type {Until | undefined} */
let until;
let graceMs = 0;
let over = false;
let isEnding = false;

const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

const leftMs = () =>
  until === undefined
    ? Number.POSITIVE_INFINITY
    : Math.min(until.monotonicMs - nowMs(), until.uptimeMs + UPTIME_STEP_MS - uptime() * 1000);

function look() {
  if (watched !== undefined && !over && leftMs() <= 0) {
    over = true;
    killAll(watched, "SIGKILL");
  }
  // To the millisecond when it is near; else often enough to see that a suspended machine has woken.
  setTimeout(look, over ? TICK_MS : Math.min(Math.max(leftMs(), 1), TICK_MS));
}

/** The wrapper is gone: as it would have done, but by ourselves. */
async function end() {
  if (isEnding || watched === undefined) process.exit(0);
  isEnding = true;
  const target = watched;
  const killAtMs = nowMs() + Math.min(graceMs, Math.max(0, leftMs()));
  killAll(target, "SIGTERM");
  // A stopped process would see it only when it goes on.
  killAll(target, "SIGCONT");
  while (nowMs() < killAtMs && anyAlive(target)) await new Promise((resolve) => setTimeout(resolve, 20));
  killAll(target, "SIGKILL");
  process.exit(0);
}

// What the whole session is told (a closing terminal, a shutdown) must not take the guard before the command.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.on(signal, () => {});

/** @param {string} line */
function obey(line) {
  const order = JSON.parse(line);
  if (order.done) process.exit(0);
  if (order.watch) watched = order.watch;
  if (order.graceMs !== undefined) graceMs = order.graceMs;
  if (order.until !== undefined) until = order.until ?? undefined;
  if (order.watch) process.stdout.write("watching\n");
}

process.stdout.on("error", () => {});
// What a guard before this one was told: known from the first moment, should the wrapper be gone before it could say it.
if (process.argv[2] !== undefined) obey(process.argv[2]);
createInterface({ input: process.stdin }).on("line", obey).on("close", end);
look();
