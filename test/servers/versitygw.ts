/**
 * versitygw over a directory of its own: timestamps of one second (ties are the rule), a connection closed after every
 * answer, a `Date` that lags. A useful trouble-maker.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { findProgram, freePort, startDaemon, untilAnswers, withRetries } from "./daemon.js";
import { temporaryDirectory } from "./guard.js";
import { credentials, type Server, ServerMissing } from "./server.js";

export async function startVersitygw(): Promise<Server> {
  const command = findProgram("versitygw");
  if (command === undefined) {
    throw new ServerMissing("no versitygw: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0");
  }
  return withRetries(() => start(command));
}

async function start(command: string): Promise<Server> {
  const directory = temporaryDirectory("versitygw");
  const data = join(directory.path, "data");
  mkdirSync(data);
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const daemon = await startDaemon({
    role: "versitygw",
    command,
    args: ["--port", `127.0.0.1:${port}`, "posix", data],
    env: { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    logFile: join(directory.path, "log"),
  });
  const stop = async () => {
    await daemon.stop();
    directory.remove();
  };
  try {
    await untilAnswers(`${endpoint}/`, daemon);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: "versitygw",
    how: "binary",
    endpoint,
    endpoints: [endpoint],
    region: "us-east-1",
    ...credentials,
    processes: [{ role: "versitygw", pid: daemon.pid }],
    stop,
    kill: async (signal = "SIGKILL") => daemon.kill(signal),
  };
}
