/** Everything a user of @bucketlock/b2 may import. Anything not named here may change without notice. */

export type { B2Buckets, B2BucketType, B2Keys, BucketSettings, NewKey } from "./account.js";
export type { B2Bucket, B2File, B2Key, B2Part } from "./answers.js";
export type { B2Credentials } from "./authority.js";
export { B2_CALLS, type B2CallName, type PriceClass } from "./b2-calls.js";
export { B2_CODES, type B2Code } from "./b2-classify.js";
export type { B2Event } from "./b2-exchange.js";
export { type B2Reader, type B2ReaderOptions, openB2Reader } from "./b2-reader.js";
export { B2Session, type B2SessionOptions, type B2TestMode, openB2Session, type UploadOptions } from "./b2-session.js";
export type { B2StoreOptions } from "./b2-store.js";
export type { B2Body, B2GetAnswer, B2HeadAnswer, B2Range, B2Stream, B2Which } from "./downloads.js";
export type { LargeFileOptions } from "./large-file.js";
export type { B2ListOptions, B2Page } from "./listings.js";
export { openB2Store } from "./open-b2-store.js";
export type { B2Source, FileOptions } from "./uploads.js";
