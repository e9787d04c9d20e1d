/** Everything a user of @bucketlock/core may import. Anything not named here may change without notice. */

export { type Clock, type SleepOptions, systemClock } from "./clock.js";
export * from "./errors.js";
export { type FileStoreOptions, openFileStore } from "./file-store.js";
export { createMemoryStore, type MemoryStoreOptions } from "./memory-store.js";
export { durationMs, integer, oneOf } from "./options.js";
export { type Random, systemRandom } from "./random.js";
export type * from "./store.js";
export { STORE_CODES, type StoreCode } from "./classify.js";
export type { S3Credentials, S3CredentialsProvider } from "./credentials.js";
export type { S3Event } from "./s3-exchange.js";
export type { S3RequestName } from "./s3-requests.js";
export { openS3Session, type PresignOptions, S3Session, type S3SessionOptions } from "./s3-session.js";
