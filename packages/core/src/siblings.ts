/**
 * What the other packages of this project share with the S3 session: the one HTTP client, backoff, limits and checks, so
 * that there is no second HTTP path and no second set of rules. Internal: only @bucketlock packages of the same version may
 * import it (`@bucketlock/core/http`); it may change with any release.
 */

export { type BackoffSettings, DEFAULT_BACKOFF, nextWaitMs, retryAfterMs } from "./backoff.js";
export { compareKeys } from "./byte-order.js";
export { CALL_TIMEOUT_MS, checkCall, checkList, checkPut, checkTargets } from "./call-checks.js";
export { formatInstant, hostMonotonicMs, parseInstantMs } from "./clock.js";
export { show } from "./errors.js";
export { type ConnectionOptions, connectionSettings } from "./http-connection.js";
export { objectKey, text } from "./options.js";
export { Origins } from "./origins.js";
export { type HttpAnswer, HttpClient, HttpFault, type HttpRequest } from "./request.js";
export { listPages, type RawPage } from "./s3-listing.js";
export { deleteEach } from "./s3-multi-delete.js";
export { proxyFor } from "./s3-settings.js";
export { decodePercent, type Pair } from "./uri.js";
