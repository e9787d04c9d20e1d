/** Child processes that all run one script: started together, told to go together, killed together. Measures nothing. */
import { type ChildProcess, spawn } from "node:child_process";

export function startCrew(
  script: string,
  size: number,
  task: unknown,
  env: Readonly<Record<string, string>>,
): ChildProcess[] {
  return Array.from({ length: size }, () =>
    spawn(process.execPath, [...process.execArgv, script, JSON.stringify(task)], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    }),
  );
}

/** The child's next message. */
export function message<T>(child: ChildProcess, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      child.off("message", onMessage);
      child.off("error", onError);
      child.off("exit", onExit);
      end();
    };
    const onMessage = (value: unknown) => settle(() => resolve(value as T));
    const onError = (error: Error) => settle(() => reject(error));
    const onExit = (code: number | null, signal: NodeJS.Signals | null) =>
      settle(() => reject(new Error(`a worker ended (${signal ?? code}) before it told ${what}`)));
    child.once("message", onMessage);
    child.once("error", onError);
    child.once("exit", onExit);
  });
}
