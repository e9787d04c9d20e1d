/**
 * What becomes of a signal that reaches the wrapper. Pure: which are passed on, and when the terminal has already told the
 * command. Sends none.
 */

/** All that a Node program can catch and that is not a fault of the program itself or the runtime's own. */
export const FORWARDED: readonly NodeJS.Signals[] = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGABRT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGVTALRM",
  "SIGIO",
  "SIGURG",
  "SIGPWR",
  "SIGSYS",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGWINCH",
  "SIGCONT",
  "SIGTSTP",
];

/** These end a program unless it says otherwise: while there is no command yet, they end the waiting. */
export const ENDING: readonly NodeJS.Signals[] = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"];

/** What a terminal sends to its whole foreground group: the command, which is in it too, has it already. */
const BY_TERMINAL: readonly string[] = ["SIGINT", "SIGQUIT", "SIGWINCH"];

/** Not caught at a terminal: Ctrl-Z must stop the wrapper with the command, and `fg` continue both. */
const JOB_CONTROL: readonly string[] = ["SIGTSTP", "SIGCONT"];

/**
 * Which to catch. `onTerminal`: the command shares our process group and the terminal; undefined: there is no command to run, and
 * only what ends the work is our business.
 */
export function caught(onTerminal: boolean | undefined, known: Readonly<Record<string, number>>): NodeJS.Signals[] {
  if (onTerminal === undefined) return ENDING.filter((name) => name in known);
  return FORWARDED.filter((name) => name in known && !(onTerminal && JOB_CONTROL.includes(name)));
}

export function isForwarded(signal: NodeJS.Signals, onTerminal: boolean): boolean {
  return !(onTerminal && BY_TERMINAL.includes(signal));
}
