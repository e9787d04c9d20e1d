/** Everything a user of @bucketlock/core/ds3 may import. Tested on an emulator only, never on an appliance. */

export type { Ds3Blob, Ds3Bucket, Ds3Chunk, Ds3Job, Ds3ListedObject, Ds3Page } from "./ds3-answers.js";
export { DS3_CHECKSUMS, type Ds3Checksum } from "./ds3-checksum.js";
export {
  type Ds3BlobOptions,
  type Ds3Body,
  Ds3Client,
  type Ds3ClientOptions,
  type Ds3JobOptions,
  type Ds3Priority,
  type Ds3PutJobOptions,
  type Ds3PutObjectOptions,
  openDs3Client,
} from "./ds3-client.js";
export type {
  Ds3GetAllOptions,
  Ds3PutAllOptions,
  Ds3Source,
  Ds3TransferEvent,
  Ds3TransferOptions,
  Ds3Transferred,
} from "./ds3-transfer.js";
export { DS3_CODES, type Ds3Failure, Ds3TransferError } from "./ds3-verdict.js";
