/** DeleteObjects: up to 1000 keys or versions in one request, each with its own answer. */
import { element, type Made, missing, Refusal, xml } from "./answers.js";
import type { BucketCall } from "./call.js";
import { malformed, readDocument, textOf } from "./documents.js";
import { remove } from "./objects.js";

const KEYS_MAX = 1000;
/** Keys below this prefix may not be deleted so: how a test gets an answer with errors in it. */
const REFUSED = "locked/";

export function deleteObjects(call: BucketCall): Made {
  const { body, headers, checksums, world } = call;
  if (world.options.multiDelete === false) return missing();
  if (headers["content-md5"] === undefined && Object.keys(checksums).length === 0)
    throw new Refusal(
      400,
      "InvalidRequest",
      "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
    );
  const document = readDocument(body, "Delete");
  const entries = document.children.filter(({ name }) => name === "Object");
  if (entries.length === 0 || entries.length > KEYS_MAX) throw malformed();
  const isQuiet = textOf(document, "Quiet") === "true";
  const answers = entries.map((entry) => {
    const key = textOf(entry, "Key");
    if (key === undefined || key === "") throw malformed();
    const versionId = textOf(entry, "VersionId") || undefined;
    const target = element("Key", key) + (versionId === undefined ? "" : element("VersionId", versionId));
    try {
      if (key.startsWith(REFUSED)) throw new Refusal(403, "AccessDenied", "Access Denied");
      const deleted = remove(call, key, versionId, textOf(entry, "ETag"));
      if (isQuiet) return "";
      const marker = deleted.isDeleteMarker
        ? `<DeleteMarker>true</DeleteMarker>${element("DeleteMarkerVersionId", deleted.versionId!)}`
        : "";
      return `<Deleted>${target}${marker}</Deleted>`;
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      const [, code, message] = /^\d+ (\w+): (.*)$/s.exec(refusal.message)!;
      return `<Error>${target}${element("Code", code!)}${element("Message", message!)}</Error>`;
    }
  });
  return xml("DeleteResult", answers.join(""));
}
