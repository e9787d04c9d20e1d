/** The real disk, with stops: an operation can be held before it starts or after it is done, and let go later. */
import { type Disk, realDisk } from "../../../packages/core/src/file-disk.js";

export interface Hold {
  /** Resolves when the operation has come to the stop. */
  readonly reached: Promise<void>;
  letGo(): void;
}

interface Stop {
  readonly operation: keyof Disk;
  readonly where: "before" | "after";
  readonly matches: (path: string) => boolean;
  readonly arrive: () => void;
  readonly gone: Promise<void>;
}

export class PausedDisk implements Disk {
  /** `operation path` of everything done, in order of the start. */
  readonly done: string[] = [];
  readonly #stops: Stop[] = [];
  readonly #failures: { operation: keyof Disk; code: string; matches: (path: string) => boolean }[] = [];

  /** Holds the next such operation whose path contains `part`. */
  hold(where: "before" | "after", operation: keyof Disk, part = ""): Hold {
    let arrive = (): void => {};
    let letGo = (): void => {};
    const reached = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const gone = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    this.#stops.push({ operation, where, matches: (path) => path.includes(part), arrive, gone });
    return { reached, letGo };
  }

  /** Every such operation fails from here on, as the system would fail it. */
  fail(operation: keyof Disk, code: string, part = ""): void {
    this.#failures.push({ operation, code, matches: (path) => path.includes(part) });
  }

  names = (dir: string) => this.#run("names", dir, () => realDisk.names(dir));
  read = (path: string) => this.#run("read", path, () => realDisk.read(path));
  write = (path: string, data: string | Uint8Array, durable: boolean) =>
    this.#run("write", path, () => realDisk.write(path, data, durable));
  link = (from: string, to: string) => this.#run("link", to, () => realDisk.link(from, to));
  rename = (from: string, to: string) => this.#run("rename", to, () => realDisk.rename(from, to));
  remove = (path: string) => this.#run("remove", path, () => realDisk.remove(path));
  sync = (dir: string) => this.#run("sync", dir, () => realDisk.sync(dir));

  async #run<T>(operation: keyof Disk, path: string, run: () => Promise<T>): Promise<T> {
    this.done.push(`${operation} ${path}`);
    await this.#stop("before", operation, path);
    const failure = this.#failures.find((one) => one.operation === operation && one.matches(path));
    if (failure) {
      const { code } = failure;
      throw Object.assign(new Error(`${code}: ${operation}`), { code, errno: -1, syscall: operation });
    }
    const result = await run();
    await this.#stop("after", operation, path);
    return result;
  }

  async #stop(where: Stop["where"], operation: keyof Disk, path: string): Promise<void> {
    const at = this.#stops.findIndex(
      (stop) => stop.where === where && stop.operation === operation && stop.matches(path),
    );
    if (at < 0) return;
    const [stop] = this.#stops.splice(at, 1) as [Stop];
    stop.arrive();
    await stop.gone;
  }
}
