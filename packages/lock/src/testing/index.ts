/** What tests of programs that use locks, and of other stores and protocols, may import. */

export type { LockTopic } from "./conformance/room.js";
export { type LockConformanceOptions, type LockPart, type LocksUnderTest, lockConformance } from "./conformance.js";
export { checkHistory, type HistoryRules, type Hold, type Violation } from "./history.js";
