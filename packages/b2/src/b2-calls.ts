/**
 * Every call that this package makes of B2, as one table: its price class and what a repetition would do. Data only; there
 * is no second way to make a call.
 *
 * Price classes: https://www.backblaze.com/cloud-storage/transaction-pricing (A free, B 0.004 USD per 10 000, C 0.004 USD
 * per 1000).
 */

export type PriceClass = "A" | "B" | "C";

export interface CallShape {
  readonly priceClass: PriceClass;
  /**
   * What happens when it is carried out twice: `safe` (the same state), `lies` (a second thing comes into being, or the
   * second answer is a refusal): such a call is not made again once it may have been carried out.
   */
  readonly again: "safe" | "lies";
  readonly maxBodyBytes: number;
}

const NOTE_MAX_BYTES = 256 * 1024;
// 10 000 entries with names of 1 KiB and file info of 7 KiB.
const LIST_MAX_BYTES = 96 * 1024 * 1024;
/** An object that is read whole. */
export const OBJECT_MAX_BYTES = 256 * 1024 * 1024;

const shape = (priceClass: PriceClass, again: CallShape["again"] = "safe", maxBodyBytes = NOTE_MAX_BYTES) => ({
  priceClass,
  again,
  maxBodyBytes,
});

export const B2_CALLS = {
  b2_authorize_account: shape("C"),
  b2_get_upload_url: shape("A"),
  b2_get_upload_part_url: shape("A"),
  // Twice is one version too many, which the next sweep removes; who cannot bear that says `once`.
  b2_upload_file: shape("A"),
  b2_upload_part: shape("A"),
  // Twice leaves an unfinished file behind, which listUnfinished shows.
  b2_start_large_file: shape("A"),
  b2_finish_large_file: shape("A", "lies"),
  b2_cancel_large_file: shape("A"),
  b2_delete_file_version: shape("A"),
  b2_hide_file: shape("A"),
  b2_get_file_info: shape("B"),
  b2_download_file_by_name: shape("B", "safe", OBJECT_MAX_BYTES),
  b2_download_file_by_id: shape("B", "safe", OBJECT_MAX_BYTES),
  b2_list_file_names: shape("C", "safe", LIST_MAX_BYTES),
  b2_list_file_versions: shape("C", "safe", LIST_MAX_BYTES),
  b2_list_unfinished_large_files: shape("C", "safe", LIST_MAX_BYTES),
  b2_list_parts: shape("C", "safe", LIST_MAX_BYTES),
  b2_copy_file: shape("C", "lies"),
  b2_copy_part: shape("C"),
  b2_list_buckets: shape("C", "safe", LIST_MAX_BYTES),
  b2_create_bucket: shape("C", "lies"),
  b2_update_bucket: shape("C", "lies"),
  b2_delete_bucket: shape("C"),
  b2_create_key: shape("C", "lies"),
  b2_list_keys: shape("C", "safe", LIST_MAX_BYTES),
  b2_delete_key: shape("C"),
  b2_get_download_authorization: shape("C"),
} as const satisfies Record<string, CallShape>;

export type B2CallName = keyof typeof B2_CALLS;
