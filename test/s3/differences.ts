/** Where real servers answer otherwise than the book, as measured with the script of the AWS SDK. Data only. */
import type { ServerName } from "../servers/server.js";

export interface Difference {
  readonly step: string;
  /** What it answers, as JSON has it. */
  readonly answer: unknown;
  readonly reason: string;
}

export const DIFFERENCES: Readonly<Record<ServerName, readonly Difference[]>> = {
  minio: [
    {
      step: "a public ACL",
      answer: "501 NotImplemented",
      reason: "has no ACLs but private ones; policies stand for them",
    },
    { step: "logging on and off", answer: "400 MalformedXML", reason: "has no access logs in buckets" },
    { step: "a wrong checksum", answer: "400 XAmzContentChecksumMismatch", reason: "another name for it" },
    { step: "delete if it is another", answer: undefined, reason: "ignores conditions of DELETE, and deletes" },
    { step: "delete if it is that, once more", answer: {}, reason: "ignores conditions of DELETE" },
    {
      step: "version 1 by pages",
      answer: [
        ["list/a list/b/* ...", "list/b/[...]"],
        ["list/c list/d/* ...", "list/d/[...]"],
        ["list/e f list/z", null],
      ],
      reason: "markers of version 1 hold more than a key",
    },
    { step: "abort what is not there", answer: {}, reason: "abort is done when nothing is there" },
    { step: "no suspension", answer: "400 InvalidBucketState", reason: "400 instead of 409" },
    {
      step: "delete what is held",
      answer: "400 InvalidRequest",
      reason: "400 InvalidRequest for what Object Lock protects",
    },
    {
      step: "shorter retention",
      answer: "400 InvalidRequest",
      reason: "400 InvalidRequest for what Object Lock protects",
    },
  ],
  rgw: [
    { step: "create it again", answer: {}, reason: "200 to the owner, as AWS in us-east-1" },
    { step: "its location", answer: { LocationConstraint: "default" }, reason: "names its zone group" },
    { step: "logging on and off", answer: "405 MethodNotAllowed", reason: "has none (16.2)" },
    {
      step: "get it with its checksum",
      answer: { ContentLength: 10, ContentType: "text/plain; charset=utf-8", Text: "0123456789" },
      reason: "keeps no checksums (16.2): the trailer is cut off and not looked at",
    },
    {
      step: "other headers of the answer",
      answer: { ContentLength: 10, ContentType: "image/x", Text: "0123456789" },
      reason: "keeps no checksums",
    },
    { step: "put with CRC32C", answer: [null, null], reason: "keeps no checksums" },
    { step: "put with SHA1", answer: [null, null], reason: "keeps no checksums" },
    { step: "put with SHA256", answer: [null, null], reason: "keeps no checksums" },
    {
      step: "a wrong checksum",
      answer: { ETag: '"781e5e245d69b566979b86e28d23f2c7"' },
      reason: "looks at no checksum but Content-MD5",
    },
    {
      step: "metadata of 3 KB",
      answer: { ETag: '"781e5e245d69b566979b86e28d23f2c7"' },
      reason: "a limit per value, not for all",
    },
    { step: "a key of 1025 bytes", answer: "400 InvalidObjectName", reason: "another name for it" },
    {
      step: "replace what is known",
      answer: "412 PreconditionFailed",
      reason: "If-Match of a PUT works without the quotes of the ETag only",
    },
    { step: "replace what is not there", answer: "412 PreconditionFailed", reason: "412 instead of 404" },
    { step: "delete if it is another", answer: undefined, reason: "ignores conditions of DELETE, and deletes" },
    { step: "delete if it is that, once more", answer: {}, reason: "ignores conditions of DELETE" },
    { step: "the ETag of a copy", answer: "56fe0b1409a5662d70cfedc4555d4771", reason: "without quotes" },
    {
      step: "copy if it is another",
      answer: {
        ETag: '"56fe0b1409a5662d70cfedc4555d4771"',
        LastModified: "date",
        ContentType: "text/x-from",
        Metadata: { from: "1" },
      },
      reason: "ignores the ETags of a copy's source, and copies",
    },
    {
      step: "copy if it is not that",
      answer: {
        ETag: '"56fe0b1409a5662d70cfedc4555d4771"',
        LastModified: "date",
        ContentType: "text/x-from",
        Metadata: { from: "1" },
      },
      reason: "ignores the ETags of a copy's source, and copies",
    },
    { step: "a false token", answer: ["copies/from é+%", "..."], reason: "takes any token for a key" },
    {
      step: "complete in the wrong order",
      answer: { Bucket: "BUCKET", Key: "by parts" },
      reason: "puts the parts in order itself",
    },
    {
      step: "complete",
      answer: "8b0be7847da5564ae08e97af63b60885-2",
      reason: "the upload was completed by the step before; the same is answered again, without quotes",
    },
    {
      step: "one part of it",
      answer: [null, null, "aaaaaaaaaaaaaaaaaaaa"],
      reason: "does not know partNumber: the whole object",
    },
    {
      step: "complete if absent",
      answer: { Bucket: "BUCKET", Key: "by parts" },
      reason: "ignores conditions of complete",
    },
    { step: "delete none", answer: {}, reason: "nothing to do is done" },
    { step: "delete 1001", answer: "400 Unknown", reason: "400 without a document" },
    { step: "versioning on", answer: { Status: "Enabled", MFADelete: "Disabled" }, reason: "says more" },
    { step: "get the marker", answer: "404 NoSuchKey", reason: "404 instead of 405" },
    { step: "copy a version", answer: { text: "one" }, reason: "does not say which version it copied" },
  ],
  versitygw: [
    {
      step: "a public ACL",
      answer: "400 AccessControlListNotSupported",
      reason: "ACLs are off unless ownership is set",
    },
    { step: "its logging", answer: "501 NotImplemented", reason: "has none" },
    { step: "logging on and off", answer: "501 NotImplemented", reason: "has none" },
    {
      step: "a key of 1025 bytes",
      answer: {
        ETag: '"781e5e245d69b566979b86e28d23f2c7"',
        ChecksumType: "FULL_OBJECT",
        Size: 10,
        ChecksumCRC32: "poTHxg==",
      },
      reason: "has no limit of its own; the file system has",
    },
    { step: "delete if it is that, once more", answer: {}, reason: "nothing to delete is done" },
    { step: "copy if it is not that", answer: "304", reason: "304 instead of 412" },
    {
      step: "one entry as a whole",
      answer: {
        Key: "list/a",
        LastModified: "date",
        ETag: '"b9acef5d6edf16efbd3e2eec4dcad9ff"',
        ChecksumAlgorithm: ["CRC32"],
        ChecksumType: "FULL_OBJECT",
        Size: 6,
      },
      reason: "names the checksum in listings (AWS does now too)",
    },
    { step: "encoded", answer: ["", ["list/e f"]], reason: "does not encode and says so" },
    { step: "a false token", answer: ["copies/from é+%", "..."], reason: "takes any token for a key" },
    {
      step: "complete in the wrong order",
      answer: "400 EntityTooSmall",
      reason: "finds the first part too small before",
    },
    { step: "delete many, quietly", answer: { Deleted: [{ Key: "many/3" }] }, reason: "is never quiet" },
    { step: "delete none", answer: {}, reason: "nothing to do is done" },
    { step: "delete 1001", answer: 1001, reason: "has no limit" },
    {
      step: "versioning on",
      answer: "501 VersioningNotConfigured",
      reason: "keeps no versions where it runs without a folder for them, as here",
    },
    {
      step: "a bucket with object lock",
      answer: { ObjectLockEnabled: "Enabled", Rule: {} },
      reason: "goes without versions where it keeps none",
    },
  ],
};
