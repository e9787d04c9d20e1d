/** Signature version 2 by the published examples of AWS, and by the one of Spectra's Go SDK. */
import { describe, expect, it } from "vitest";
import { authorizationV2, type SigningRequestV2, stringToSignV2 } from "../../../packages/core/src/ds3/sigv2.js";

const keys = { accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };

/** "Signing and authenticating REST requests", Amazon S3 developer guide, "Authentication examples". */
const examples: readonly (readonly [string, SigningRequestV2, string])[] = [
  [
    "object GET",
    {
      method: "GET",
      resource: "/awsexamplebucket1/photos/puppy.jpg",
      query: [],
      headers: [["Date", "Tue, 27 Mar 2007 19:36:42 +0000"]],
    },
    "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=",
  ],
  [
    "object PUT",
    {
      method: "PUT",
      resource: "/awsexamplebucket1/photos/puppy.jpg",
      query: [],
      headers: [
        ["Content-Type", "image/jpeg"],
        ["Content-Length", "94328"],
        ["Date", "Tue, 27 Mar 2007 21:15:45 +0000"],
      ],
    },
    "iqRzw+ileNPu1fhspnRs8nOjjIA=",
  ],
  [
    "list, whose parameters are not signed",
    {
      method: "GET",
      resource: "/awsexamplebucket1/",
      query: [
        ["prefix", "photos"],
        ["max-keys", "50"],
        ["marker", "puppy"],
      ],
      headers: [
        ["User-Agent", "Mozilla/5.0"],
        ["Date", "Tue, 27 Mar 2007 19:42:41 +0000"],
      ],
    },
    "m0WP8eCtspQl5Ahe6L1SozdX9YA=",
  ],
  [
    "a subresource, which is",
    {
      method: "GET",
      resource: "/awsexamplebucket1/",
      query: [["acl", ""]],
      headers: [["Date", "Tue, 27 Mar 2007 19:44:46 +0000"]],
    },
    "82ZHiFIjc+WbcwFKGUVEQspPn+0=",
  ],
  [
    "delete with x-amz-date beside date (the form of the older guide)",
    {
      method: "DELETE",
      resource: "/johnsmith/photos/puppy.jpg",
      query: [],
      headers: [
        ["Date", "Tue, 27 Mar 2007 21:20:27 +0000"],
        ["x-amz-date", "Tue, 27 Mar 2007 21:20:26 +0000"],
      ],
    },
    "R4dJ53KECjStyBO5iTBJZ4XVOaI=",
  ],
  [
    "upload with metadata of two values",
    {
      method: "PUT",
      resource: "/static.johnsmith.net/db-backup.dat.gz",
      query: [],
      headers: [
        ["User-Agent", "curl/7.15.5"],
        ["Host", "static.johnsmith.net:8080"],
        ["Date", "Tue, 27 Mar 2007 21:06:08 +0000"],
        ["x-amz-acl", "public-read"],
        ["content-type", "application/x-download"],
        ["Content-MD5", "4gJE4saaMU4BqNR0kLY+lw=="],
        ["X-Amz-Meta-ReviewedBy", "joe@johnsmith.net"],
        ["X-Amz-Meta-ReviewedBy", "jane@johnsmith.net"],
        ["X-Amz-Meta-FileChecksum", "0x02661779"],
        ["X-Amz-Meta-ChecksumAlgorithm", "crc32"],
        ["Content-Encoding", "gzip"],
        ["Content-Length", "5913339"],
      ],
    },
    "ilyl83RwaSoYIEdixDQcA4OnAnc=",
  ],
  [
    "list of all buckets",
    { method: "GET", resource: "/", query: [], headers: [["Date", "Wed, 28 Mar 2007 01:29:59 +0000"]] },
    "qGdzdERIC03wnaRNKh6OqZehG9s=",
  ],
  [
    "Unicode keys, as they are sent",
    {
      method: "GET",
      resource: "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
      query: [],
      headers: [["Date", "Wed, 28 Mar 2007 01:49:49 +0000"]],
    },
    "DNEZGsoieTZ92F3bUfSPQcbGmlM=",
  ],
];

describe("the examples of AWS", () => {
  it.each(examples)("%s", (_name, request, signature) => {
    expect(authorizationV2(request, keys)).toBe(`AWS ${keys.accessKey}:${signature}`);
  });
});

it("the example of Spectra's Go SDK (its path encoded as it sends it)", () => {
  const path = "abc/1+2+3/e f g/aÀˠϠૐ༺ᎀ".split("/").map((part) => encodeURIComponent(part).replaceAll("%2B", "+"));
  const request = {
    method: "PUT",
    resource: path.join("/"),
    query: [],
    headers: [["Date", "Tue, 31 Jul 2018 17:23:50 +0000"]],
  } as const;
  expect(authorizationV2(request, { accessKey: "access", secretKey: "key" })).toBe(
    "AWS access:1JbBTxv5KRFKbvju7w27c2J6bKk=",
  );
});

it("signs whichever checksum is sent, once, and parameters by name", () => {
  const request: SigningRequestV2 = {
    method: "PUT",
    resource: "/b/k",
    query: [
      ["uploads", ""],
      ["job", "j"],
      ["acl", ""],
      ["versionId", "v 1"],
    ],
    headers: [
      ["date", "D"],
      ["Content-CRC32", "crc="],
      ["x-amz-meta-b", " two\r\n  lines "],
      ["x-amz-meta-a", "1"],
    ],
  };
  expect(stringToSignV2(request)).toBe(
    "PUT\ncrc=\n\nD\nx-amz-meta-a:1\nx-amz-meta-b:two lines\n/b/k?acl&uploads&versionId=v 1",
  );
});
