/**
 * The JSON calls of the API: rights checked, state changed. Their fields are in fields.ts, uploads and downloads in transfer.ts.
 */

import { checked } from "./fields.js";
import { type Bucket, checkFileId, checkName, type Folder, md5, type PageAsk, sha1, type Version } from "./files.js";
import { allow, type Token } from "./keys.js";
import { bad, Refusal } from "./refusal.js";
import { addPart, type Fields, rangeOf, typed, type World } from "./world.js";

type Call = (world: World, fields: Fields, token: Token) => unknown;

export function carryOut(world: World, call: string, given: Fields, token: Token): unknown {
  const fields = checked(call, given);
  if (fields.accountId !== undefined && fields.accountId !== world.keys.accountId)
    throw bad(`Invalid accountId: ${fields.accountId}`, "bad_request");
  return CALLS[call]!(world, fields, token);
}

const count = (value: unknown, fallback: number, max: number): number => {
  const number = value === undefined || value === 0 ? fallback : Number(value);
  if (!Number.isInteger(number) || number < 1 || number > max)
    throw bad(`count out of range: ${value}`, "out_of_range");
  return number;
};
const maybe = (value: unknown): string | undefined => (value === undefined || value === "" ? undefined : String(value));

function pageAsk(fields: Fields): PageAsk {
  return {
    startName: maybe(fields.startFileName),
    startId: maybe(fields.startFileId),
    count: count(fields.maxFileCount, 100, 10_000),
    prefix: maybe(fields.prefix) ?? "",
    delimiter: maybe(fields.delimiter),
  };
}

function entryShown(world: World, bucket: Bucket, entry: Version | Folder, version: number): object {
  // Version 1 calls the length `size` too, and rclone reads that.
  if (!("folder" in entry))
    return version > 1 ? world.shown(entry) : { ...world.shown(entry), size: entry.body.length };
  return {
    accountId: world.keys.accountId,
    action: "folder",
    bucketId: bucket.id,
    contentLength: 0,
    contentSha1: null,
    contentType: null,
    fileId: null,
    fileInfo: {},
    fileName: entry.folder,
    uploadTimestamp: 0,
  };
}

function unfinished(world: World, id: unknown): Version {
  const version = world.files.get(checkFileId(id));
  if (version === undefined || version.action !== "start") throw bad(`No active upload for: ${id}`);
  return version;
}

const CALLS: Readonly<Record<string, Call>> = {
  b2_list_buckets(world, { bucketId, bucketName }, { key, version }) {
    allow(key, "listBuckets");
    const found = [...world.buckets.values()].filter(
      ({ id, name }) =>
        (bucketId === undefined || id === bucketId) && (bucketName === undefined || name === bucketName),
    );
    if (key.bucketIds !== undefined) {
      // v1's workaround: a restricted key sees its bucket without asking for it by name.
      const isAsked = bucketId !== undefined || bucketName !== undefined;
      if (version === 1 && !isAsked)
        found.splice(0, found.length, ...found.filter(({ id }) => key.bucketIds!.includes(id)));
      else if (!isAsked || found.length === 0) throw new Refusal(401, "unauthorized", "");
    }
    for (const { id } of found) allow(key, "listBuckets", id);
    found.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { buckets: found.map((bucket) => world.bucketShown(bucket)) };
  },
  b2_create_bucket(world, fields, { key }) {
    allow(key, "writeBuckets");
    if (key.bucketIds !== undefined) throw new Refusal(401, "unauthorized", "");
    return world.bucketShown(world.makeBucket(fields.bucketName, fields.bucketType, fields));
  },
  b2_update_bucket(world, fields, { key }) {
    const bucket = world.bucket(fields.bucketId);
    allow(key, "writeBuckets", bucket.id);
    if (fields.ifRevisionIs !== undefined && fields.ifRevisionIs !== bucket.revision)
      throw new Refusal(409, "conflict", "ifRevisionIs is not the bucket's revision");
    if (fields.bucketType !== undefined) bucket.type = String(fields.bucketType);
    if (fields.bucketInfo !== undefined) bucket.info = fields.bucketInfo as Record<string, string>;
    if (fields.lifecycleRules !== undefined) bucket.lifecycleRules = fields.lifecycleRules as unknown[];
    if (fields.corsRules !== undefined) bucket.corsRules = fields.corsRules as unknown[];
    bucket.revision++;
    return world.bucketShown(bucket);
  },
  b2_delete_bucket(world, fields, { key }) {
    const bucket = world.bucket(fields.bucketId);
    allow(key, "deleteBuckets", bucket.id);
    if (!bucket.isEmpty) throw bad("Cannot delete non-empty bucket", "cannot_delete_non_empty_bucket");
    world.buckets.delete(bucket.id);
    return world.bucketShown(bucket);
  },
  b2_get_upload_url(world, fields, { key }) {
    const bucket = world.bucket(fields.bucketId);
    allow(key, "writeFiles", bucket.id);
    return world.uploadUrl(key, bucket.id, undefined);
  },
  b2_get_upload_part_url(world, fields, { key }) {
    const version = unfinished(world, fields.fileId);
    allow(key, "writeFiles", version.bucketId, version.name);
    return world.uploadUrl(key, version.bucketId, version.id);
  },
  b2_list_file_names(world, fields, { key, version }) {
    const bucket = world.bucket(fields.bucketId);
    const ask = pageAsk(fields);
    allow(key, "listFiles", bucket.id, ask.prefix);
    const { entries, next } = bucket.names(ask, world.asOfMs);
    return {
      files: entries.map((entry) => entryShown(world, bucket, entry, version)),
      nextFileName: next?.name ?? null,
    };
  },
  b2_list_file_versions(world, fields, { key, version }) {
    const bucket = world.bucket(fields.bucketId);
    const ask = pageAsk(fields);
    if (ask.startId !== undefined && ask.startName === undefined) throw bad("startFileId without startFileName");
    if (ask.startId !== undefined) checkFileId(ask.startId);
    allow(key, "listFiles", bucket.id, ask.prefix);
    const { entries, next } = bucket.versions(ask, world.asOfMs);
    const files = entries.map((entry) => entryShown(world, bucket, entry, version));
    return { files, nextFileName: next?.name ?? null, nextFileId: next?.id ?? null };
  },
  b2_list_unfinished_large_files(world, fields, { key }) {
    const bucket = world.bucket(fields.bucketId);
    const prefix = maybe(fields.namePrefix) ?? "";
    allow(key, "listFiles", bucket.id, prefix);
    const max = count(fields.maxFileCount, 100, 100);
    const from = maybe(fields.startFileId);
    const all = bucket.all
      .filter(({ action, name }) => action === "start" && name.startsWith(prefix))
      .sort((a, b) => a.serial - b.serial);
    const at =
      from === undefined
        ? 0
        : Math.max(
            0,
            all.findIndex(({ id }) => id === from),
          );
    const next = all[at + max];
    return { files: all.slice(at, at + max).map((version) => world.shown(version)), nextFileId: next?.id ?? null };
  },
  b2_list_parts(world, fields, { key }) {
    const version = unfinished(world, fields.fileId);
    allow(key, "writeFiles", version.bucketId, version.name);
    const from = count(fields.startPartNumber, 1, 10_000);
    const max = count(fields.maxPartCount, 100, 1000);
    const all = [...version.parts.values()].filter(({ number }) => number >= from).sort((a, b) => a.number - b.number);
    const parts = all.slice(0, max).map(({ number, body, sha1: contentSha1, stampMs }) => ({
      fileId: version.id,
      partNumber: number,
      contentLength: body.length,
      contentSha1,
      contentMd5: md5(body),
      uploadTimestamp: stampMs,
    }));
    return { parts, nextPartNumber: all[max]?.number ?? null };
  },
  b2_get_file_info(world, fields, { key }) {
    const version = world.file(fields.fileId);
    allow(key, "readFiles", version.bucketId, version.name);
    return world.shown(version);
  },
  b2_delete_file_version(world, fields, { key }) {
    const name = checkName(fields.fileName);
    const id = checkFileId(fields.fileId);
    const version = world.files.get(id);
    allow(key, "deleteFiles", version?.bucketId, name);
    if (version === undefined || version.name !== name)
      throw bad(`File not present: ${name} ${id}`, "file_not_present");
    world.remove(version);
    return { fileId: id, fileName: name };
  },
  b2_hide_file(world, fields, { key }) {
    const bucket = world.bucket(fields.bucketId);
    const name = checkName(fields.fileName);
    allow(key, "writeFiles", bucket.id, name);
    if (!bucket.hasName(name)) throw bad(`File not present: ${name}`, "no_such_file");
    if (bucket.visible(name) === undefined) throw bad(`already hidden: ${name}`, "already_hidden");
    const contentType = "application/x-bz-hide-marker";
    const empty = { body: Buffer.alloc(0), sha1: "none", info: {}, contentType };
    return world.shown(world.add(bucket, { ...empty, name, action: "hide", stampMs: world.nowMs() }));
  },
  b2_copy_file(world, fields, { key }) {
    const source = world.file(fields.sourceFileId);
    if (source.action !== "upload") throw bad(`Cannot copy: ${source.id}`);
    const bucket =
      fields.destinationBucketId === undefined
        ? world.bucket(source.bucketId)
        : world.bucket(fields.destinationBucketId);
    const name = checkName(fields.fileName);
    allow(key, "readFiles", source.bucketId, source.name);
    allow(key, "writeFiles", bucket.id, name);
    const directive = fields.metadataDirective ?? "COPY";
    if (directive !== "COPY" && directive !== "REPLACE") throw bad(`invalid metadataDirective: ${directive}`);
    if (directive === "COPY" && (fields.contentType !== undefined || fields.fileInfo !== undefined))
      throw bad("contentType and fileInfo are not allowed with COPY", "invalid_metadata_directive");
    if (directive === "REPLACE" && fields.contentType === undefined)
      throw bad("contentType is required with REPLACE", "invalid_metadata_directive");
    const [from, to] =
      fields.range === undefined ? [0, source.body.length - 1] : rangeOf(fields.range, source.body.length);
    const body = Buffer.from(source.body.subarray(from, to + 1));
    const copy = world.add(bucket, {
      name,
      action: "upload",
      body,
      sha1: sha1(body),
      contentType: typed(directive === "COPY" ? source.contentType : String(fields.contentType), name),
      info: directive === "COPY" ? source.info : ((fields.fileInfo ?? {}) as Record<string, string>),
      stampMs: world.nowMs(),
    });
    // `copy` in this answer only; listings say `upload`.
    return world.shown(copy, "copy");
  },
  b2_copy_part(world, fields, { key }) {
    const source = world.file(fields.sourceFileId);
    const large = unfinished(world, fields.largeFileId);
    allow(key, "readFiles", source.bucketId, source.name);
    allow(key, "writeFiles", large.bucketId, large.name);
    const [from, to] =
      fields.range === undefined ? [0, source.body.length - 1] : rangeOf(fields.range, source.body.length);
    return addPart(world, large, Number(fields.partNumber), Buffer.from(source.body.subarray(from, to + 1)));
  },
  b2_start_large_file(world, fields, { key }) {
    const bucket = world.bucket(fields.bucketId);
    const name = checkName(fields.fileName);
    allow(key, "writeFiles", bucket.id, name);
    const stampMs = fields.customUploadTimestamp === undefined ? world.nowMs() : Number(fields.customUploadTimestamp);
    const contentType = typed(String(fields.contentType), name);
    const info = (fields.fileInfo ?? {}) as Record<string, string>;
    return world.shown(
      world.add(bucket, { name, action: "start", body: Buffer.alloc(0), sha1: "none", contentType, info, stampMs }),
    );
  },
  b2_finish_large_file(world, fields, { key }) {
    const version = unfinished(world, fields.fileId);
    allow(key, "writeFiles", version.bucketId, version.name);
    const given = fields.partSha1Array as string[];
    const parts = given.map((wanted, index) => {
      const part = version.parts.get(index + 1);
      if (part === undefined) throw bad(`Part number ${index + 1} has not been uploaded`, "missing_part");
      if (part.sha1 !== wanted) throw bad(`Part ${index + 1} has another sha1: ${part.sha1}`, "part_sha1_mismatch");
      const isLast = index === given.length - 1;
      if (!isLast && part.body.length < world.knobs.minimumPartSize)
        throw bad(`Part number ${index + 1} is smaller than ${world.knobs.minimumPartSize} bytes`);
      return part;
    });
    if (parts.length === 0) throw bad("large files must have at least one part");
    if (version.parts.size > parts.length) throw bad("more parts were uploaded than are in partSha1Array");
    version.body = Buffer.concat(parts.map(({ body }) => body));
    version.action = "upload";
    version.parts.clear();
    return world.shown(version);
  },
  b2_cancel_large_file(world, fields, { key }) {
    const version = unfinished(world, fields.fileId);
    allow(key, "writeFiles", version.bucketId, version.name);
    world.remove(version);
    return { accountId: world.keys.accountId, bucketId: version.bucketId, fileId: version.id, fileName: version.name };
  },
  b2_create_key(world, fields, { key, version }) {
    allow(key, "writeKeys");
    const ids =
      version >= 4 ? (fields.bucketIds as string[] | undefined) : maybe(fields.bucketId) && [String(fields.bucketId)];
    const seconds = fields.validDurationInSeconds as number | undefined;
    if (seconds !== undefined && (seconds < 1 || seconds > 86_400_000))
      throw bad("valid duration must be greater than 0, and less than 1000 days in seconds", "bad_json");
    for (const id of ids || []) world.bucket(id);
    const made = world.keys.create({
      name: String(fields.keyName),
      capabilities: fields.capabilities as string[],
      bucketIds: ids || undefined,
      namePrefix: maybe(fields.namePrefix),
      expiresMs: seconds === undefined ? undefined : world.nowMs() + seconds * 1000,
    });
    return { ...world.keyShown(made, version), applicationKey: made.secret };
  },
  b2_list_keys(world, fields, { key, version }) {
    allow(key, "listKeys");
    const max = count(fields.maxKeyCount, 100, 10_000);
    const from = maybe(fields.startApplicationKeyId);
    const all = world.keys.list.filter(({ id }) => from === undefined || id >= from);
    return {
      keys: all.slice(0, max).map((one) => world.keyShown(one, version)),
      nextApplicationKeyId: all[max]?.id ?? null,
    };
  },
  b2_delete_key(world, fields, { key, version }) {
    allow(key, "deleteKeys");
    return world.keyShown(world.keys.delete(String(fields.applicationKeyId)), version);
  },
  b2_get_download_authorization(world, fields, { key }) {
    const bucket = world.bucket(fields.bucketId);
    const prefix = String(fields.fileNamePrefix);
    allow(key, "shareFiles", bucket.id, prefix);
    const seconds = Number(fields.validDurationInSeconds);
    if (seconds < 1 || seconds > 604_800) throw bad("validDurationInSeconds out of range");
    const token = `3_${++world.serial}_${Math.random().toString(36).slice(2)}_dnld`;
    world.readTokens.set(token, { bucketId: bucket.id, prefix, expiresMs: world.nowMs() + seconds * 1000 });
    return { bucketId: bucket.id, fileNamePrefix: prefix, authorizationToken: token };
  },
};
