/** Everything a user of @bucketlock/core may import. Anything not named here may change without notice. */

export { type Clock, type SleepOptions, systemClock } from "./clock.js";
export * from "./errors.js";
export { createMemoryStore, type MemoryStoreOptions } from "./memory-store.js";
export { durationMs, integer, oneOf } from "./options.js";
export { type Random, systemRandom } from "./random.js";
export type * from "./store.js";
