/** The fields of every JSON call, by name and type; an unknown one is refused, as B2 does. */
import { bad } from "./refusal.js";
import type { Fields } from "./world.js";

// -- Fields: name and type, `?` for optional; null counts as absent ------------------------------------------------------
const SPEC: Readonly<Record<string, string>> = {
  b2_list_buckets: "accountId bucketId? bucketName? bucketTypes?[]",
  b2_create_bucket:
    "accountId bucketName bucketType bucketInfo?{} corsRules?[] lifecycleRules?[] fileLockEnabled?! defaultServerSideEncryption?{} replicationConfiguration?{}",
  b2_update_bucket:
    "accountId bucketId bucketType? bucketInfo?{} corsRules?[] lifecycleRules?[] ifRevisionIs?# defaultRetention?{} defaultServerSideEncryption?{} fileLockEnabled?! replicationConfiguration?{}",
  b2_delete_bucket: "accountId bucketId",
  b2_get_upload_url: "bucketId",
  b2_get_upload_part_url: "fileId",
  b2_list_file_names: "bucketId startFileName? maxFileCount?# prefix? delimiter?",
  b2_list_file_versions: "bucketId startFileName? startFileId? maxFileCount?# prefix? delimiter?",
  b2_list_unfinished_large_files: "bucketId namePrefix? startFileId? maxFileCount?#",
  b2_list_parts: "fileId startPartNumber?# maxPartCount?#",
  b2_get_file_info: "fileId",
  b2_delete_file_version: "fileName fileId bypassGovernance?!",
  b2_hide_file: "bucketId fileName",
  b2_copy_file:
    "sourceFileId fileName destinationBucketId? range? metadataDirective? contentType? fileInfo?{} sourceServerSideEncryption?{} destinationServerSideEncryption?{} fileRetention?{} legalHold?",
  b2_copy_part:
    "sourceFileId largeFileId partNumber# range? sourceServerSideEncryption?{} destinationServerSideEncryption?{}",
  b2_start_large_file:
    "bucketId fileName contentType fileInfo?{} serverSideEncryption?{} fileRetention?{} legalHold? customUploadTimestamp?#",
  b2_finish_large_file: "fileId partSha1Array[]",
  b2_cancel_large_file: "fileId",
  b2_create_key: "accountId capabilities[] keyName validDurationInSeconds?# bucketId? bucketIds?[] namePrefix?",
  b2_list_keys: "accountId maxKeyCount?# startApplicationKeyId?",
  b2_delete_key: "applicationKeyId",
  b2_get_download_authorization: "bucketId fileNamePrefix validDurationInSeconds# b2ContentDisposition? b2ContentType?",
};
export const CALL_NAMES: readonly string[] = Object.keys(SPEC);

export function checked(call: string, given: Fields): Fields {
  const fields: Record<string, unknown> = {};
  const known = new Map<string, { optional: boolean; type: string }>();
  for (const part of SPEC[call]!.split(" ")) {
    const [, name, optional, type] = /^(\w+)(\??)(.*)$/.exec(part)!;
    known.set(name!, { optional: optional === "?", type: type! });
  }
  for (const [name, value] of Object.entries(given)) {
    if (!known.has(name)) throw bad(`unknown field in ${call}: ${name}`, "bad_json");
    if (value === null) continue;
    const { type } = known.get(name)!;
    const is = Array.isArray(value)
      ? "[]"
      : typeof value === "object"
        ? "{}"
        : typeof value === "number"
          ? "#"
          : typeof value === "boolean"
            ? "!"
            : "";
    if (is !== type) throw bad(`field ${name} has the wrong type`, "bad_json");
    fields[name] = value;
  }
  for (const [name, { optional }] of known)
    if (!optional && fields[name] === undefined) throw bad(`required field ${name} is missing`, "bad_json");
  return fields;
}
