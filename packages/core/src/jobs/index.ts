/** Bulk jobs: everything a user of @bucketlock/core/jobs may import. */

export {
  deleteFolder,
  getAll,
  JobError,
  type JobEvent,
  type JobFailure,
  type JobOptions,
  type JobReport,
  type NamedFile,
  type PutAllOptions,
  putAll,
} from "./jobs.js";
export type { Rename } from "./plan.js";
