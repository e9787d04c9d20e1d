/** Shared leases: any number of readers together, but no writer meanwhile. */
import { createLocks, openStore } from "@bucketlock/lock";

const locks = createLocks(openStore(process.argv[2] ?? "memory:"));
const catalog = locks.lock("catalog");

const [one, two] = await Promise.all([catalog.acquire({ mode: "shared" }), catalog.acquire({ mode: "shared" })]);
console.log("two readers hold the lock together");
console.log("a writer gets in:", (await catalog.tryAcquire()) !== undefined); // false

await one.release();
await two.release();
await catalog.run(() => console.log("now a writer holds it alone")); // mode: "exclusive" is the default
await locks.close();
