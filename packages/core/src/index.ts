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
export type { S3DownloadAnswer } from "./download.js";
export * from "./errors.js";
export { type FileStoreOptions, openFileStore } from "./file-store.js";
export type { ConnectionOptions } from "./http-connection.js";
export {
  type HttpGetOptions,
  type HttpHeadOptions,
  HttpSession,
  type HttpSessionOptions,
  type HttpStreamOptions,
  openHttpSession,
} from "./http-session.js";
export type { S3Credentials, S3CredentialsProvider } from "./identity.js";
export { createMemoryStore, type MemoryStoreOptions } from "./memory-store.js";
export type { S3ObjectFacts } from "./object-facts.js";
export type { ByteRange, ReadConditions } from "./object-options.js";
export type { S3StreamAnswer, S3StreamOptions } from "./object-stream.js";
export { type OpenStoreOptions, openStore } from "./open-store.js";
export { durationMs, integer, knownOptions, oneOf } from "./options.js";
export { type ProbeOptions, probe } from "./probe.js";
export type { ProbeVerb, Right } from "./probe-observations.js";
export type { Vendor } from "./probe-prices.js";
export type { Finding, ProbeReport, ProtocolReport } from "./probe-report.js";
export { renderProbe } from "./probe-text.js";
export { type Random, systemRandom } from "./random.js";
export type { AclAnswer, BucketsAnswer, CreateBucketOptions, NewAcl } from "./s3-buckets.js";
export type { S3CallOptions } from "./s3-calls.js";
export { openS3SessionFromConfig, type S3ConfigOptions } from "./s3-config.js";
export type { CopyAnswer, CopyOptions, S3Metadata, S3Source, UpdateOptions } from "./s3-copy.js";
export type { S3DeleteAnswer, S3DeleteManyOptions, S3DeleteOptions } from "./s3-delete.js";
export type {
  AccessControl,
  BucketEntry,
  BucketLogging,
  CannedAcl,
  DefaultRetention,
  Grant,
  Grantee,
  ObjectLock,
  Permission,
  Retention,
  RetentionMode,
  Versioning,
} from "./s3-documents.js";
export type { InBucket } from "./s3-endpoint.js";
export type { S3Event } from "./s3-exchange.js";
export type { S3EachOptions, S3ListOptions } from "./s3-list.js";
export type { S3ListPage, S3VersionPage } from "./s3-listing.js";
export { NotDeletedError } from "./s3-multi-delete.js";
export type * from "./s3-multipart.js";
export type { PutRetentionOptions, VersionOptions } from "./s3-object-lock.js";
export type {
  S3Absent,
  S3GetAnswer,
  S3GetOptions,
  S3HeadAnswer,
  S3HeadOptions,
  S3PutOptions,
  S3TextAnswer,
} from "./s3-objects.js";
export type { PresignOptions, ResponseHeaders, UrlOptions } from "./s3-presign.js";
export type { S3Doomed, S3PurgeAnswer, S3PurgeOptions } from "./s3-purge.js";
export type { S3RequestName } from "./s3-requests.js";
export { openS3Session, S3Session, type S3SessionOptions } from "./s3-session.js";
export type * from "./store.js";
export type { S3UploadSource } from "./upload-source.js";
export type { S3UploadAnswer, S3UploadOptions, S3UploadProgress } from "./uploads.js";
export type { Owner, S3ListedObject, S3ListedVersion } from "./xml.js";
