/**
 * What a lock on B2 costs in requests and money: counted by the emulator, priced by B2's transaction classes. A script of its
 * own: `node --conditions=@bucketlock/source --import tsx bench/b2.ts`. It measures no time: the emulator is not the service.
 */
import { openB2Session } from "@bucketlock/b2";
import { createLocks, type LockMode } from "@bucketlock/lock";
import { B2Emulator } from "../test/emulators/b2/emulator.js";
import { PRICE_PER_1000 } from "../test/emulators/b2/knobs.js";

const ROUNDS = 200;

interface Row {
  readonly what: string;
  readonly acquisitions: number;
  readonly classes: Readonly<Record<"A" | "B" | "C", number>>;
  readonly usd: number;
}

/** `clients` sessions take the lock in turn or against each other, `rounds` times each. */
async function measure(
  what: string,
  options: { clients: number; rounds: number; mode: LockMode; heldMs: number },
): Promise<Row> {
  const { clients, rounds, mode, heldMs } = options;
  const emulator = await B2Emulator.start();
  emulator.makeBucket("bench-bucket");
  const credentials = { applicationKeyId: emulator.keyId, applicationKey: emulator.key };
  const all = Array.from({ length: clients }, () => {
    const session = openB2Session({ endpoint: emulator.endpoint, bucket: "bench-bucket", credentials });
    return createLocks(session.store(), { leaseMs: 3_000 });
  });
  // Warm: the token and the upload URLs are a process's, not a lock's.
  for (const locks of all) await locks.lock("warm").run(() => {});
  emulator.costs.clear();
  await Promise.all(
    all.map(async (locks) => {
      for (let round = 0; round < rounds; round++) {
        await locks.lock("k").run(() => new Promise((resolve) => setTimeout(resolve, heldMs)), { mode });
      }
    }),
  );
  const { classes, usd } = emulator.costs;
  for (const locks of all) await locks.close();
  await emulator.stop();
  return { what, acquisitions: clients * rounds, classes, usd };
}

const rows = [
  await measure("one client, exclusive", { clients: 1, rounds: ROUNDS, mode: "exclusive", heldMs: 0 }),
  await measure("4 clients, shared", { clients: 4, rounds: ROUNDS / 4, mode: "shared", heldMs: 0 }),
  await measure("4 clients in one line, held 20 ms", { clients: 4, rounds: 25, mode: "exclusive", heldMs: 20 }),
  await measure("one client, held for 3 leases", { clients: 1, rounds: 1, mode: "exclusive", heldMs: 9_000 }),
];
console.log(`B2 per 1000 transactions: A ${PRICE_PER_1000.A}, B ${PRICE_PER_1000.B}, C ${PRICE_PER_1000.C} USD`);
console.log("per 1000 acquisitions                     A        B        C        USD");
for (const { what, acquisitions, classes, usd } of rows) {
  const each = (count: number) => ((count / acquisitions) * 1000).toFixed(0).padStart(8);
  const price = ((usd / acquisitions) * 1000).toFixed(4);
  console.log(`${what.padEnd(34)} ${each(classes.A)} ${each(classes.B)} ${each(classes.C)} ${price.padStart(10)}`);
}
