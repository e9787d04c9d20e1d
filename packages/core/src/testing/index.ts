/** What tests of locks and stores may import: fakes of time, chance and the network, and the store conformance suite. */

export { type ExpectedCall, type Fault, FaultyStore, type FaultyStoreOptions } from "./faulty-store.js";
export type { StoreCall, StoreVerb } from "./intercept.js";
export { drained, ManualClock, type ManualClockOptions } from "./manual-clock.js";
export { RecordingStore } from "./recording-store.js";
export { SeededRandom } from "./seeded-random.js";
export type { ConformanceTopic, OddKey } from "./store-conformance/room.js";
export {
  type ConformanceRunner,
  type StoreConformanceOptions,
  type StoreUnderTest,
  storeConformance,
} from "./store-conformance/suite.js";
