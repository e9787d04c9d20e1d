/** What stands between a session and the emulator: a TLS front and an HTTP proxy, ended with the test that asked for them. */
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { afterEach } from "vitest";

const certificates = join(import.meta.dirname, "..", "..", "vectors", "tls");
export const certificateFile = (name: string): string => join(certificates, `${name}.pem`);

interface Ending {
  readonly server: Server;
  readonly sockets: Set<Socket>;
}
const running: Ending[] = [];

afterEach(async () => {
  for (const { server, sockets } of running.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  running.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function bridge(one: Socket, other: Socket): void {
  for (const socket of [one, other]) {
    socket.on("error", () => {});
    socket.on("close", () => {
      one.destroy();
      other.destroy();
    });
  }
  one.pipe(other).pipe(one);
}

/** TLS outside, the plain server of `endpoint` inside. `name`: the certificate it shows. */
export async function startTlsFront(endpoint: string, name = "server"): Promise<string> {
  const inner = Number(new URL(endpoint).port);
  const key = readFileSync(join(certificates, `${name}.key`));
  const cert = readFileSync(certificateFile(name));
  const server = createTlsServer({ key, cert }, (socket) => bridge(socket, connect(inner, "127.0.0.1")));
  server.on("tlsClientError", () => {});
  return `https://127.0.0.1:${await listen(server)}`;
}

export interface TestProxy {
  readonly url: string;
  /** What was asked of it: `CONNECT host:port` or `GET http://...`. */
  readonly asked: string[];
  /** Proxy-Authorization of each. */
  readonly authorized: (string | undefined)[];
}

/** `refuse`: the status of every answer. */
export async function startProxy(refuse?: number): Promise<TestProxy> {
  const asked: string[] = [];
  const authorized: (string | undefined)[] = [];
  const server = createServer((req, res) => {
    asked.push(`${req.method} ${new URL(req.url!).origin}`);
    authorized.push(req.headers["proxy-authorization"]);
    if (refuse !== undefined) return void res.writeHead(refuse).end();
    const { "proxy-authorization": _, ...headers } = req.headers;
    req.pipe(
      request(req.url!, { method: req.method!, headers, agent: false }, (answer) => {
        res.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(res);
      }),
    );
  });
  server.on("connect", (req, socket: Socket, head: Buffer) => {
    asked.push(`CONNECT ${req.url}`);
    authorized.push(req.headers["proxy-authorization"]);
    if (refuse !== undefined) return void socket.end(`HTTP/1.1 ${refuse} No\r\n\r\n`);
    const [host, port] = req.url!.split(":");
    const other = connect(Number(port), host);
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    if (head.length > 0) other.write(head);
    bridge(socket, other);
  });
  return { url: `http://127.0.0.1:${await listen(server)}`, asked, authorized };
}
