/**
 * What a person or a program sees: lines on standard output and error, colours and a spinner on a terminal only. Writes by
 * file descriptor: touching process.stdout or process.stderr would make the pipe that the command inherits non-blocking.
 */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { type Clock, systemClock } from "@bucketlock/core";

const STDOUT = 1;
const STDERR = 2;
const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 100;
// DECAWM, https://vt100.net/docs/vt510-rm/DECAWM.html
const NO_WRAP = "\u001b[?7l";
const WRAP = "\u001b[?7h";

const COLOURS = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;
export type Colour = keyof typeof COLOURS;

export class Screen {
  readonly isJson: boolean;
  readonly #clock: Clock;
  readonly #env: NodeJS.ProcessEnv;
  #stopSpinner: (() => void) | undefined;
  #isRead = true;

  constructor(isJson: boolean, env: NodeJS.ProcessEnv = process.env, clock: Clock = systemClock) {
    this.isJson = isJson;
    this.#env = env;
    this.#clock = clock;
  }

  /** For people, on standard output. */
  print(text: string): void {
    this.#out(`${text}\n`);
  }

  /** For people, on standard error, as it is. */
  complain(text: string): void {
    write(STDERR, text);
  }

  /** One JSON document on standard output; with `line`, on one line. */
  json(value: unknown, line = false): void {
    this.#out(`${JSON.stringify(value, plain, line ? undefined : 2)}\n`);
  }

  /** False: nobody reads standard output any more (`| head -1`), as the last write to it told. */
  get isRead(): boolean {
    return this.#isRead;
  }

  #out(text: string): void {
    if (!write(STDOUT, text)) this.#isRead = false;
  }

  /** Beside a command that runs: on standard error, for people a line, with --json an object that begins with `bucketlock`. */
  note(event: string, facts: Readonly<Record<string, unknown>>, text?: string): void {
    if (this.isJson) write(STDERR, `${JSON.stringify({ bucketlock: event, ...facts }, plain)}\n`);
    else if (text !== undefined) write(STDERR, `bucketlock: ${text}\n`);
  }

  paint(colour: Colour, text: string, fd: 1 | 2 = STDOUT): string {
    return this.#hasColour(fd) ? `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : text;
  }

  /** Somebody sits before standard error. */
  get isWatched(): boolean {
    return !this.isJson && isatty(STDERR) && this.#env.TERM !== "dumb";
  }

  /** Turns on standard error, on a terminal only, until the answer is called or another spins. `text` is asked at every turn. */
  spin(text: () => string): () => void {
    this.#stopSpinner?.();
    if (!this.isWatched) return () => {};
    let frame = 0;
    let cancel = () => {};
    const turn = () => {
      // Cut at the edge, not wrapped: what stands in a second line could not be taken back.
      write(STDERR, `\r\u001b[K${NO_WRAP}${FRAMES[frame++ % FRAMES.length]} ${text()}${WRAP}`);
      cancel = this.#clock.after(FRAME_MS, turn);
    };
    turn();
    const stop = () => {
      cancel();
      if (this.#stopSpinner !== stop) return;
      this.#stopSpinner = undefined;
      write(STDERR, "\r\u001b[K");
    };
    this.#stopSpinner = stop;
    return stop;
  }

  /** https://no-color.org; FORCE_COLOR as Node reads it. */
  #hasColour(fd: number): boolean {
    if (this.isJson || (this.#env.NO_COLOR ?? "") !== "") return false;
    const forced = this.#env.FORCE_COLOR;
    if (forced !== undefined) return forced !== "0" && forced !== "false";
    return isatty(fd) && this.#env.TERM !== "dumb";
  }
}

function plain(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return value instanceof Error ? value.message : value;
}

/** All of it, also into a pipe that somebody else made non-blocking. Into one that nobody reads: nothing, and false. */
function write(fd: number, text: string): boolean {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EAGAIN") return false;
      // Nothing else may run in between: an exit code hangs on it.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  return true;
}
