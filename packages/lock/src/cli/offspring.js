/**
 * The processes of a command: its group, where it has one of its own, and whatever else descends from it. Finds and signals
 * them; decides nothing about when. Shared by the wrapper and its guard, hence plain JavaScript.
 *
 * At a terminal a command stays in the wrapper's group (only the foreground group may read the terminal), so its processes are
 * found one by one: by the mark that they inherit in their environment (Linux), and by parentage. Elsewhere it has a group, and
 * the mark finds those that left it.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/**
 * @typedef {object} Offspring
 * @property {number | undefined} pid The command's; undefined until it is known.
 * @property {boolean} group It leads a process group of its own.
 * @property {string} mark In the variable BUCKETLOCK_RUN of all its descendants.
 */

const VARIABLE = "BUCKETLOCK_RUN=";
// A process that forks while we read is seen in the next round.
const ROUNDS = 5;

/**
 * To all of them. SIGKILL is sent until nobody is left to send it to.
 * @param {Offspring} target
 * @param {NodeJS.Signals} signal
 */
export function killAll(target, signal) {
  for (let round = 0; round < (signal === "SIGKILL" ? ROUNDS : 1); round += 1) {
    if (target.group && target.pid !== undefined) send(-target.pid, signal);
    const others = find(target).filter((one) => !(target.group && one.group === target.pid));
    for (const { pid } of others) send(pid, signal);
    if (round > 0 && !anyAlive(target)) return;
  }
}

/**
 * To the command's group, or at a terminal to each of its processes.
 * @param {Offspring} target
 * @param {NodeJS.Signals} signal
 */
export function forward(target, signal) {
  if (target.group && target.pid !== undefined) send(-target.pid, signal);
  else for (const { pid } of find(target)) send(pid, signal);
}

/**
 * Zombies do not count.
 * @param {Offspring} target
 */
export function anyAlive(target) {
  return find(target).length > 0;
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
function send(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone, or another user's now (sudo): nobody here can do more.
  }
}

/**
 * @typedef {object} Running
 * @property {number} pid
 * @property {number} parent
 * @property {number} group
 */

/**
 * @param {Offspring} target
 * @returns {Running[]}
 */
function find(target) {
  const all = process.platform === "linux" ? fromProc() : fromPs();
  const ours = new Set(target.pid === undefined ? [] : [target.pid]);
  for (const one of all) {
    if (target.group && one.group === target.pid) ours.add(one.pid);
    else if (process.platform === "linux" && isMarked(one.pid, target.mark)) ours.add(one.pid);
  }
  // Children may stand before their parents in the list.
  for (let grown = true; grown; ) {
    const before = ours.size;
    for (const one of all) if (ours.has(one.parent)) ours.add(one.pid);
    grown = ours.size > before;
  }
  return all.filter((one) => ours.has(one.pid) && one.pid !== process.pid);
}

/** @returns {Running[]} */
function fromProc() {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const text = readFileSync(`/proc/${name}/stat`, "latin1");
      // proc_pid_stat(5): the name in parentheses may hold anything, spaces and parentheses too.
      const [state, parent, group] = text.slice(text.lastIndexOf(")") + 2).split(" ");
      if (state === "Z" || state === "X") return [];
      return [{ pid: Number(name), parent: Number(parent), group: Number(group) }];
    } catch {
      return [];
    }
  });
}

/** @returns {Running[]} */
function fromPs() {
  try {
    const text = execFileSync("ps", ["-A", "-o", "pid=,ppid=,pgid=,stat="], { encoding: "utf8", stdio: "pipe" });
    return text.split("\n").flatMap((line) => {
      const [pid, parent, group, state = ""] = line.trim().split(/\s+/);
      if (pid === undefined || pid === "" || state.startsWith("Z")) return [];
      return [{ pid: Number(pid), parent: Number(parent), group: Number(group) }];
    });
  } catch {
    return [];
  }
}

/**
 * @param {number} pid
 * @param {string} mark
 */
function isMarked(pid, mark) {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
    const found = variables.find((variable) => variable.startsWith(VARIABLE));
    // One run inside another carries both marks.
    return found?.slice(VARIABLE.length).split(",").includes(mark) ?? false;
  } catch {
    return false;
  }
}
