/** Everything a user of @bucketlock/core/files may import. */

export {
  type FileFacts,
  type FileMetadata,
  Files,
  type FilesWriteOptions,
  openFiles,
  openFilesFromConfig,
  type S3Name,
} from "./files.js";
export type { FilesConfig } from "./files-config.js";
