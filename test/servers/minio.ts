/**
 * MinIO: through testcontainers where a container engine answers and has the image, else as a binary. Never pulls an
 * image: tests reach nothing beyond the loopback.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { findProgram, freePort, startDaemon, untilAnswers, withRetries } from "./daemon.js";
import { temporaryDirectory, unwatch, watch } from "./guard.js";
import { credentials, type Server, ServerMissing } from "./server.js";

const IMAGE = process.env.MINIO_IMAGE ?? "minio/minio:latest";
const PINNED = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c";

export async function startMinio(options: { how?: "container" | "binary" } = {}): Promise<Server> {
  const noContainer = options.how === "binary" ? "not asked for" : await whyNoContainer();
  if (noContainer === undefined) return startContainer();
  if (options.how === "container") throw new ServerMissing(`no MinIO in a container: ${noContainer}`);
  const command = findProgram("minio");
  if (command === undefined) {
    throw new ServerMissing(`no MinIO: ${noContainer}; and no binary: go install ${PINNED}`);
  }
  return withRetries(() => startBinary(command));
}

/** What stands in the way of a container; undefined: nothing. */
export async function whyNoContainer(): Promise<string | undefined> {
  // Our own guard removes the container; the library's would need an image of its own.
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= "true";
  const { getContainerRuntimeClient, ImageName } = await import("testcontainers");
  try {
    const client = await getContainerRuntimeClient();
    if (await client.image.exists(ImageName.fromString(IMAGE))) return undefined;
    return `the container engine has no image ${IMAGE}: docker pull it, or name another in MINIO_IMAGE`;
  } catch {
    return "no container engine answers";
  }
}

async function startContainer(): Promise<Server> {
  const { MinioContainer } = await import("@testcontainers/minio");
  const { getContainerRuntimeClient } = await import("testcontainers");
  const container = await new MinioContainer(IMAGE)
    .withUsername(credentials.accessKeyId)
    .withPassword(credentials.secretAccessKey)
    .start();
  const id = container.getId();
  watch("container", id);
  // `localhost` may mean ::1 first, where the engine need not listen.
  const endpoint = `http://${container.getHost().replace("localhost", "127.0.0.1")}:${container.getPort()}`;
  const handle = (await getContainerRuntimeClient()).container.getById(id);
  let stopped: Promise<unknown> | undefined;
  return {
    name: "minio",
    how: "container",
    endpoint,
    endpoints: [endpoint],
    region: "us-east-1",
    ...credentials,
    processes: [],
    async stop() {
      stopped ??= container.stop({ remove: true, removeVolumes: true }).then(() => unwatch("container", id));
      await stopped;
    },
    // SIGSTOP would be ignored by the first process of a container: the engine freezes the whole of it instead.
    async kill(signal = "SIGKILL") {
      if (signal === "SIGSTOP") await handle.pause();
      else if (signal === "SIGCONT") await handle.unpause();
      else await handle.kill({ signal });
    },
  };
}

async function startBinary(command: string): Promise<Server> {
  const directory = temporaryDirectory("minio");
  const data = join(directory.path, "data");
  mkdirSync(data);
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const daemon = await startDaemon({
    role: "minio",
    command,
    args: ["server", "--quiet", "--address", `127.0.0.1:${port}`, data],
    env: {
      MINIO_ROOT_USER: credentials.accessKeyId,
      MINIO_ROOT_PASSWORD: credentials.secretAccessKey,
      MINIO_BROWSER: "off",
      MINIO_UPDATE: "off",
    },
    logFile: join(directory.path, "log"),
  });
  const stop = async () => {
    await daemon.stop();
    directory.remove();
  };
  try {
    await untilAnswers(`${endpoint}/minio/health/ready`, daemon, { pleases: (status) => status === 200 });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: "minio",
    how: "binary",
    endpoint,
    endpoints: [endpoint],
    region: "us-east-1",
    ...credentials,
    processes: [{ role: "minio", pid: daemon.pid }],
    stop,
    kill: async (signal = "SIGKILL") => daemon.kill(signal),
  };
}
