/** The tables "coming from" of docs/s3.md: every public call of the libraries that were the model, and only calls that exist. */
import { readFileSync } from "node:fs";
import { S3Session } from "@bucketlock/core";
import { describe, expect, test } from "vitest";

const page = readFileSync(new URL("../../docs/s3.md", import.meta.url), "utf8");
const coming = page.slice(page.indexOf("\n## Coming from another library\n"));
const section = (title: string) => {
  const text = coming.slice(coming.indexOf(`\n### ${title}`) + 1);
  const end = text.indexOf("\n#");
  return end < 0 ? text : text.slice(0, end);
};
/** What stands in code before the first `(` of it. */
const named = (text: string) => [...text.matchAll(/`([\w.]+)/g)].map(([, name]) => name!);

// As `dir()` shows them in s3func 0.9.6; internal names, which begin with `_`, left out.
const S3FUNC = {
  S3Session: [
    ...["request", "get_object", "head_object", "put_object", "list_objects", "list_object_versions", "delete_object"],
    ...["delete_objects", "copy_object", "get_object_lock_config", "put_object_lock_config", "lock"],
  ],
  S3Lock: ["acquire", "release", "other_locks", "break_other_locks", "verify", "locked"],
  HttpSession: ["get_object", "head_object"],
};
// s3/S3.py of python-s3 0.2.
const PYTHON_S3 = [
  ...[
    "create_bucket",
    "create_located_bucket",
    "check_bucket_exists",
    "list_bucket",
    "delete_bucket",
    "put",
    "get",
    "head",
  ],
  ...["delete", "get_bucket_logging", "put_bucket_logging", "get_bucket_acl", "get_acl", "put_bucket_acl", "put_acl"],
  ...["list_all_my_buckets", "get_bucket_location", "set_expires_in", "set_expires", "make_bare_url", "generate_url"],
  ...["AWSAuthConnection", "QueryStringAuthGenerator", "S3Object"],
];

describe("docs/s3.md names every call of", () => {
  test("s3func", () => {
    const told = named(section("s3func"));
    for (const [name, calls] of Object.entries(S3FUNC)) {
      expect(calls.filter((call) => !told.includes(`${name}.${call}`))).toEqual([]);
    }
  });
  test("python-s3", () => {
    const told = named(section("python-s3"));
    expect(PYTHON_S3.filter((call) => !told.includes(call))).toEqual([]);
  });
  test("the AWS SDK, as it is installed", async () => {
    const commands = Object.keys(await import("@aws-sdk/client-s3")).filter((name) => /^[A-Z].*Command$/.test(name));
    expect(commands.length).toBeGreaterThan(100);
    const told = named(section("AWS SDK for JavaScript v3"));
    expect(commands.filter((name) => !told.includes(name))).toEqual([]);
    expect(told.filter((name) => name.endsWith("Command") && !commands.includes(name))).toEqual([]);
  });
});

test("every call of a session that docs/s3.md names is there, and every one there is named", () => {
  const there = Object.getOwnPropertyNames(S3Session.prototype);
  const called = [...page.matchAll(/\bsession\.(\w+)/g)].map(([, name]) => name!);
  expect(called.length).toBeGreaterThan(100);
  const fields = ["bucket", "store"];
  expect([...new Set(called)].filter((name) => !there.includes(name) && !fields.includes(name))).toEqual([]);
  const plumbing = ["constructor", "close", "store", "probe", "canPresign", "hasMultiDelete"];
  expect(there.filter((name) => !plumbing.includes(name) && !page.includes(name))).toEqual([]);
});
