/**
 * Uploads and downloads of the emulator: tokens of their own, one upload at a time per URL, SHA-1 checked, ranges.
 */
import type { IncomingHttpHeaders } from "node:http";

import { checkFileId, checkName, sha1, type Version } from "./files.js";
import { allow } from "./keys.js";
import { bad, json, type Made, Refusal } from "./refusal.js";
import { addPart, rangeOf, typed, type World } from "./world.js";

const one = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

/** As b2_url_decode of the SDK: a `+` is a space. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", "%20"));
  } catch {
    throw bad(`Bad character in percent-encoded string: ${text}`);
  }
}

export interface Upload {
  /** With the whole body there. May refuse. */
  finish(body: Buffer): Promise<Made>;
  /** Whatever came of it. */
  release(): void;
}

/** Takes the URL for this upload, before its body is read. */
export function beginUpload(world: World, headers: IncomingHttpHeaders, isPart: boolean, path: string): Upload {
  const given = one(headers.authorization) ?? "";
  const token = world.uploadTokens.get(given);
  if (token === undefined || (token.fileId !== undefined) !== isPart)
    throw new Refusal(401, "bad_auth_token", "Invalid authorization token");
  if (!path.includes(`/${token.fileId ?? token.bucketId}/`))
    throw new Refusal(401, "bad_auth_token", "the token is not of this URL");
  if (token.busy) throw bad(`more than one upload using auth token ${given}`, "auth_token_limit");
  const { urlUses, podClocksMs } = world.knobs;
  if (urlUses > 0 && token.uses >= urlUses) {
    world.uploadTokens.delete(given);
    throw new Refusal(401, "expired_auth_token", "Authorization token has expired");
  }
  token.busy = true;
  token.uses++;
  const clockMs = podClocksMs[token.pod % podClocksMs.length] ?? 0;
  const beganMs = world.nowMs() + clockMs;
  return {
    release() {
      token.busy = false;
    },
    async finish(whole) {
      if (headers["transfer-encoding"] !== undefined || headers["content-length"] === undefined)
        throw new Refusal(411, "length_required", "Content-Length is required");
      const body = verified(whole, one(headers["x-bz-content-sha1"] as string | undefined));
      const { commitDelayMs, stampAt } = world.knobs;
      if (commitDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * commitDelayMs));
      if (isPart) {
        const large = world.files.get(token.fileId!);
        if (large === undefined || large.action !== "start") throw bad(`No active upload for: ${token.fileId}`);
        return json(addPart(world, large, Number(one(headers["x-bz-part-number"])), body.bytes));
      }
      const name = checkName(decode(one(headers["x-bz-file-name"]) ?? ""));
      allow(token.key, "writeFiles", token.bucketId, name);
      const bucket = world.bucket(token.bucketId);
      const contentType = one(headers["content-type"]);
      if (contentType === undefined) throw bad("Content-Type is required");
      const custom = one(headers["x-bz-custom-upload-timestamp"]);
      const stampMs = custom !== undefined ? Number(custom) : stampAt === "begin" ? beganMs : world.nowMs() + clockMs;
      const version = world.add(
        bucket,
        {
          name,
          action: "upload",
          body: body.bytes,
          sha1: body.sha1,
          contentType: typed(contentType, name),
          info: infoOf(headers),
          stampMs,
        },
        token.pod,
      );
      return json(world.shown(version));
    },
  };
}

function verified(whole: Buffer, given: string | undefined): { bytes: Buffer; sha1: string } {
  if (given === undefined) throw bad("X-Bz-Content-Sha1 is required");
  if (given === "do_not_verify") return { bytes: whole, sha1: `unverified:${sha1(whole)}` };
  const atEnd = given === "hex_digits_at_end";
  if (atEnd && whole.length < 40) throw bad("Sha1 digits are missing at the end");
  const bytes = atEnd ? whole.subarray(0, -40) : whole;
  const wanted = (atEnd ? whole.subarray(-40).toString() : given).toLowerCase();
  if (!/^[0-9a-f]{40}$/.test(wanted)) throw bad("Sha1 must be 40 hex digits");
  if (sha1(bytes) !== wanted) throw bad("Sha1 did not match data received");
  return { bytes, sha1: wanted };
}

function infoOf(headers: IncomingHttpHeaders): Record<string, string> {
  const info: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith("x-bz-info-")) continue;
    const key = name.slice("x-bz-info-".length);
    if (!/^[a-z0-9_-]+$/.test(key)) throw bad(`illegal file info name: ${key}`);
    info[key] = decode(one(value) ?? "");
  }
  return info;
}

/** By name: `/file/<bucket>/<name>`. */
export function downloadByName(world: World, path: string, headers: IncomingHttpHeaders, query: URLSearchParams): Made {
  const [, bucketName = "", rawName = ""] = /^\/file\/([^/]+)\/(.+)$/.exec(path) ?? [];
  const bucket = world.bucketNamed(decodeURIComponent(bucketName));
  if (bucket === undefined) throw new Refusal(404, "not_found", `bucket ${bucketName} does not exist`);
  const name = decode(rawName);
  mayRead(world, headers, query, bucket.id, name, bucket.type === "allPublic");
  const version = bucket.visible(name);
  if (version === undefined) throw new Refusal(404, "not_found", "File with such name does not exist.");
  return answer(version, headers);
}

export function downloadById(world: World, headers: IncomingHttpHeaders, query: URLSearchParams): Made {
  const id = checkFileId(query.get("fileId"));
  const version = world.files.get(id);
  const bucket = version === undefined ? undefined : world.buckets.get(version.bucketId);
  mayRead(world, headers, query, bucket?.id, version?.name, bucket?.type === "allPublic");
  if (version === undefined || version.action !== "upload")
    throw new Refusal(404, "not_found", `File not present: ${id}`);
  return answer(version, headers);
}

function mayRead(
  world: World,
  headers: IncomingHttpHeaders,
  query: URLSearchParams,
  bucketId: string | undefined,
  name: string | undefined,
  isPublic: boolean,
): void {
  const given = one(headers.authorization) ?? query.get("Authorization") ?? undefined;
  if (given === undefined) {
    if (isPublic) return;
    throw new Refusal(401, "unauthorized", "");
  }
  const read = world.readTokens.get(given);
  if (read !== undefined) {
    if (read.expiresMs <= world.nowMs())
      throw new Refusal(401, "expired_auth_token", "Authorization token has expired");
    if (read.bucketId === bucketId && name?.startsWith(read.prefix)) return;
    throw new Refusal(401, "unauthorized", "");
  }
  const { key } = world.keys.check(given, world.nowMs(), world.knobs.tokenUses);
  allow(key, "readFiles", bucketId, name);
}

function answer(version: Version, headers: IncomingHttpHeaders): Made {
  const given = one(headers.range);
  const total = version.body.length;
  // What is no byte range is ignored (RFC 9110 14.2).
  const range = given !== undefined && /^bytes=\d+-\d*$/.test(given) ? rangeOf(given, total) : undefined;
  const suffix = given === undefined ? null : /^bytes=-(\d+)$/.exec(given);
  const [from, to] = range ?? (suffix ? [Math.max(0, total - Number(suffix[1])), total - 1] : [0, total - 1]);
  const isRange = range !== undefined || suffix !== null;
  const info = Object.entries(version.info).map(([name, value]) => [`x-bz-info-${name}`, encodeURIComponent(value)]);
  return {
    status: isRange ? 206 : 200,
    body: version.body.subarray(from, to + 1),
    headers: {
      "accept-ranges": "bytes",
      "content-type": version.contentType,
      "x-bz-file-id": version.id,
      "x-bz-file-name": encodeURIComponent(version.name).replaceAll("%2F", "/").replaceAll("%20", "+"),
      "x-bz-content-sha1": version.sha1,
      "x-bz-upload-timestamp": String(version.stampMs),
      ...Object.fromEntries(info),
      ...(isRange && { "content-range": `bytes ${from}-${to}/${total}` }),
    },
  };
}
