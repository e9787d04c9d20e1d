/** Everything a user of @bucketlock/core may import. Anything not named here may change without notice. */

export { STORE_CODES, type StoreCode } from "./classify.js";
export {
  type Clock,
  dateAt,
  epochMs,
  formatInstant,
  type Instant,
  parseInstantMs,
  type SleepOptions,
  systemClock,
} from "./clock.js";
export * from "./errors.js";
export { type FileStoreOptions, openFileStore } from "./file-store.js";
export type { ConnectionOptions } from "./http-connection.js";
export type { S3Credentials, S3CredentialsProvider } from "./identity.js";
export { createMemoryStore, type MemoryStoreOptions } from "./memory-store.js";
export { type OpenStoreOptions, openStore } from "./open-store.js";
export { durationMs, integer, oneOf } from "./options.js";
export { type ProbeOptions, probe } from "./probe.js";
export type { ProbeVerb, Right } from "./probe-observations.js";
export type { Vendor } from "./probe-prices.js";
export type { Finding, ProbeReport, ProtocolReport } from "./probe-report.js";
export { renderProbe } from "./probe-text.js";
export { type Random, systemRandom } from "./random.js";
export type { InBucket, S3CallOptions } from "./s3-calls.js";
export { openS3SessionFromConfig, type S3ConfigOptions } from "./s3-config.js";
export type { S3Event } from "./s3-exchange.js";
export type { S3RequestName } from "./s3-requests.js";
export { openS3Session, type PresignOptions, S3Session, type S3SessionOptions } from "./s3-session.js";
export type * from "./store.js";
