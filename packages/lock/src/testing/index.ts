/** What tests of programs that use locks, and of other stores and protocols, may import. */

export { checkHistory, type HistoryRules, type Hold, type Violation } from "./history.js";
