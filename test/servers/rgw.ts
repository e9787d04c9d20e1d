/**
 * The smallest Ceph that serves S3: one monitor, one disk process, one or two gateways, from the distribution's packages,
 * on the loopback, without systemd. Its data is in memory unless asked otherwise.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Daemon,
  findProgram,
  freePort,
  freePortRange,
  runCommand,
  startDaemon,
  untilAnswers,
  withRetries,
} from "./daemon.js";
import { temporaryDirectory } from "./guard.js";
import { credentials, type Server, ServerMissing } from "./server.js";

export interface RgwOptions {
  /** `bluestore` keeps the data on disk, so that the disk process can be killed and started again. Default memstore. */
  readonly store?: "memstore" | "bluestore";
  /** Gateways on the one store. Default 1. */
  readonly gateways?: 1 | 2;
}

const PROGRAMS = ["ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"];
// What the monitor and the disk process of one cluster need: 1 and 4, with room.
const PORTS = 10;

export async function startRgw(options: RgwOptions = {}): Promise<Server> {
  const missing = PROGRAMS.filter((name) => findProgram(name) === undefined);
  if (missing.length > 0) {
    throw new ServerMissing(
      `no ${missing.join(", ")}: apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-common`,
    );
  }
  return withRetries(() => start(options));
}

async function start({ store = "memstore", gateways = 1 }: RgwOptions): Promise<Server> {
  const directory = temporaryDirectory("rgw");
  const dir = directory.path;
  for (const name of ["mon", "osd", "rgw", "log", "run"]) mkdirSync(join(dir, name));
  const conf = join(dir, "ceph.conf");
  const fsid = randomUUID();
  const firstPort = await freePortRange(PORTS);
  writeFileSync(conf, configuration({ dir, fsid, firstPort, store }));

  const env = { CEPH_CONF: conf };
  const run = (command: string, ...args: string[]) => runCommand(command, args, { env, limitMs: 60_000 });
  const daemons: Daemon[] = [];
  const launch = async (role: string, command: string, ...args: string[]) => {
    const logFile = join(dir, "log", `${role}.out`);
    const daemon = await startDaemon({ role, command, args: ["-c", conf, ...args, "-f"], env, logFile });
    daemons.push(daemon);
    return daemon;
  };
  const stop = async () => {
    // The gateways first, the monitor last: each stops at once while what it talks to still answers.
    for (const daemon of daemons.toReversed()) await daemon.stop();
    directory.remove();
  };

  try {
    const monmap = join(dir, "monmap");
    await run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", `[v2:127.0.0.1:${firstPort}]`, monmap);
    await run("ceph-mon", "-c", conf, "-i", "a", "--mkfs", "--monmap", monmap);
    await launch("mon", "ceph-mon", "-i", "a");
    // The id of the disk process must be in the map before it boots.
    const osd = randomUUID();
    await run("ceph", "-c", conf, "osd", "new", osd);
    await run("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd);
    await launch("osd", "ceph-osd", "-i", "0");
    // Makes the zone's pools too, and waits until the disk process serves them.
    await run(
      "radosgw-admin",
      ...["-c", conf, "-n", "client.rgw", "user", "create", "--uid=test", "--display-name=test"],
      `--access-key=${credentials.accessKeyId}`,
      `--secret-key=${credentials.secretAccessKey}`,
    );
    const endpoints: string[] = [];
    const serving: Daemon[] = [];
    for (let n = 0; n < gateways; n++) {
      const port = await freePort();
      endpoints.push(`http://127.0.0.1:${port}`);
      serving.push(
        await launch(
          `rgw${n}`,
          "radosgw",
          ...["-n", "client.rgw", "--rgw-frontends", `beast endpoint=127.0.0.1:${port} tcp_nodelay=1`],
          ...["--log-file", join(dir, "log", `rgw.${n}.log`), "--admin-socket", join(dir, "run", `rgw.${n}.asok`)],
        ),
      );
    }
    for (const [n, endpoint] of endpoints.entries()) {
      await untilAnswers(`${endpoint}/`, serving[n]!, { pleases: (status) => status === 200 });
    }
    return {
      name: "rgw",
      how: "packages",
      endpoint: endpoints[0]!,
      endpoints,
      region: "default",
      ...credentials,
      processes: daemons.map(({ role, pid }) => ({ role, pid })),
      stop,
      async kill(signal = "SIGKILL") {
        for (const daemon of serving) daemon.kill(signal);
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function configuration(c: { dir: string; fsid: string; firstPort: number; store: string }): string {
  return `[global]
fsid = ${c.fsid}
mon host = v2:127.0.0.1:${c.firstPort}
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv4 = true
ms bind ipv6 = false
ms bind msgr1 = false
ms bind port min = ${c.firstPort + 1}
ms bind port max = ${c.firstPort + PORTS - 1}
auth cluster required = none
auth service required = none
auth client required = none
run dir = ${c.dir}/run
admin socket = ${c.dir}/run/$cluster-$name.asok
log file = ${c.dir}/log/$name.log
log to stderr = false
mon cluster log file = ${c.dir}/log/cluster.log
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 2000
mon data avail crit = 1
mon data avail warn = 2
# Map changes are batched for 1 s by default, and making the pools is that wait, many times.
# Keys of the caller travel over plain HTTP here: it is the loopback.
rgw crypt require ssl = false
paxos propose interval = 0.05
paxos min wait = 0.02
mon osd prime pg temp = false
[mon.a]
mon data = ${c.dir}/mon
[osd.0]
osd data = ${c.dir}/osd
osd objectstore = ${c.store}
memstore device bytes = 1073741824
bluestore block size = 2147483648
bluestore block create = true
osd memory target = 939524096
osd class update on start = false
osd crush update on start = true
osd crush initial weight = 1.0
[client.rgw]
rgw data = ${c.dir}/rgw
# The gateway alone asks for an authenticated monitor connection by default; without authentication it needs crc.
ms mon client mode = crc
rgw dns name = localhost
rgw enable usage log = false
rgw enable quota threads = false
rgw run sync thread = false
rgw dynamic resharding = false
rgw override bucket index max shards = 1
rgw cache enabled = true
rgw thread pool size = 64
`;
}
