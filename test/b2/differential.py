"""The same random calls to b2sdk's RawSimulator and, over HTTP, to the emulator; their answers compared field by field after
ids, tokens and times were given neutral names. Prints JSON: how many operations, and each kind of difference with an example.
It knows no excuses: what is allowed to differ is for the test to say."""

import io
import json
import random
import sys
from collections import Counter

from b2sdk._internal.b2http import B2Http
from b2sdk._internal.raw_api import B2RawHTTPApi, MetadataDirectiveMode
from b2sdk._internal.raw_simulator import BucketSimulator, RawSimulator
from b2sdk.v2.exception import B2Error

endpoint, key_id, key, seed, wanted = sys.argv[1:4] + [int(sys.argv[4]), int(sys.argv[5])]
rng = random.Random(seed)

# Its ids count down in each bucket alone; ours are known across buckets, as B2's are.
SIMULATOR_IDS = iter(range(9_999_999, 1_000_000, -1))
BucketSimulator.FIRST_FILE_ID = "9999999"
BucketSimulator._next_file_id = lambda self: str(next(SIMULATOR_IDS))


class Side:
    """One of the two, with the neutral name of every id it gave."""

    def __init__(self, api, realm, account, secret):
        self.api = api
        auth = api.authorize_account(realm, account, secret)
        self.account = auth["accountId"]
        self.token = auth["authorizationToken"]
        storage = auth["apiInfo"]["storageApi"]
        self.url, self.download = storage["apiUrl"], storage["downloadUrl"]
        self.names, self.ids = {}, {}

    def know(self, real, neutral):
        if real is not None and neutral not in self.ids:
            self.names[real] = neutral
            self.ids[neutral] = real

    def of(self, neutral):
        return self.ids.get(neutral, neutral)


sim = RawSimulator()
account, secret = sim.create_account()
left = Side(sim, "", account, secret)
right = Side(B2RawHTTPApi(B2Http()), endpoint, key_id, key)
sides = (left, right)

KEEP = {"action", "contentLength", "contentSha1", "contentType", "fileInfo", "fileName", "partNumber", "bucketName",
        "bucketType", "bucketInfo", "revision", "keyName", "capabilities", "namePrefix", "fileNamePrefix"}


def neutral(side, value):
    """Only what both must agree on: kept fields, ids by their neutral names."""
    if isinstance(value, dict):
        out = {}
        for name, entry in value.items():
            if name in KEEP:
                out[name] = entry
            elif name in ("fileId", "bucketId"):
                out[name] = side.names.get(entry, "?" if entry is not None else None)
            elif name in ("files", "parts", "buckets"):
                out[name] = [neutral(side, one) for one in entry]
            elif name in ("nextFileName", "nextFileId", "nextPartNumber"):
                out[name] = entry is not None
        # The simulator gives hide markers no content type, and says less of unfinished files (see the test).
        if out.get("action") == "hide":
            out.pop("contentType", None)
        if value.get("contentType") == "text/large" and value.get("action", "start") == "start":
            for name in ("action", "contentLength", "contentSha1"):
                out.pop(name, None)
        return out
    return value


def ask(side, call):
    try:
        return call(side)
    except B2Error as error:
        return {"error": type(error).__name__}
    except AssertionError:
        return {"error": "assertion"}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        return {"error": f"crash {type(error).__name__}"}


def undo(raw):
    """What only one of them made must not lead them apart."""
    for mine, other, side in ((raw[0], raw[1], left), (raw[1], raw[0], right)):
        if "error" not in mine and "error" in other:
            if side is left:
                sim.file_id_to_bucket_id[mine["fileId"]] = mine["bucketId"]
            side.api.delete_file_version(side.url, side.token, mine["fileId"], mine["fileName"])


differences = {}
performed = Counter()
serial = 0


def note(kind, what, a, b):
    entry = differences.setdefault(f"{kind}: {what}", {"count": 0, "simulator": a, "emulator": b})
    entry["count"] += 1


def compare(kind, call, made=None):
    """`made`: the new thing's id field, which both name alike from now on."""
    global serial
    performed[kind] += 1
    raw = [ask(side, call) for side in sides]
    if made == "fileId":
        undo(raw)
    if made is not None and all("error" not in one for one in raw):
        serial += 1
        for side, one in zip(sides, raw):
            side.know(one[made], f"{made}#{serial}")
    answers = [one if "error" in one else neutral(side, one) for side, one in zip(sides, raw)]
    a, b = (json.loads(json.dumps(one, sort_keys=True, default=str)) for one in answers)
    if a == b:
        return raw
    if "error" in a or "error" in b:
        note(kind, f"{a.get('error', 'accepts')} / {b.get('error', 'accepts')}", a, b)
        return raw
    for field in sorted(set(a) | set(b)):
        if a.get(field) != b.get(field):
            note(kind, field, a.get(field), b.get(field))
    return raw


NAMES = [f"{folder}{stem}" for folder in ("", "a/", "b/c/") for stem in ("x", "y", "z é", "+1 %")]
files, unfinished, buckets, keys = [], [], [], []


def some(things, missing):
    return rng.choice(things) if things and rng.random() < 0.93 else missing


def remember(raw, made, things):
    if all("error" not in one for one in raw):
        things.append(left.names[raw[0][made]])


def create_bucket():
    name = f"diff-bucket-{rng.randrange(12)}"
    raw = compare(
        "create_bucket",
        lambda s: s.api.create_bucket(s.url, s.token, s.account, name, rng_type, bucket_info={"n": name}),
        "bucketId",
    )
    remember(raw, "bucketId", buckets)


def upload():
    bucket, name = some(buckets[:3], "e73ede990000000000000999"), rng.choice(NAMES)
    data = bytes(rng.randrange(256) for _ in range(rng.choice((1, 7, 300))))
    info = {"k": "v é+ %"} if rng.random() < 0.3 else {}

    def call(side):
        from hashlib import sha1

        given = side.api.get_upload_url(side.url, side.token, side.of(bucket))
        digest = sha1(data if rng_good else data + b"!").hexdigest()
        return side.api.upload_file(
            given["uploadUrl"], given["authorizationToken"], name, len(data), "text/x", digest, info, io.BytesIO(data),
        )

    remember(compare("upload", call, "fileId"), "fileId", files)


def hide():
    bucket, name = some(buckets[:3], "e73ede990000000000000999"), rng.choice(NAMES)
    remember(compare("hide", lambda s: s.api.hide_file(s.url, s.token, s.of(bucket), name), "fileId"), "fileId", files)


def delete():
    file = some(files, NOWHERE)
    name = where.get(file, "x") if rng.random() < 0.95 else "another"
    raw = compare("delete", lambda s: s.api.delete_file_version(s.url, s.token, s.of(file), name))
    if all("error" not in one for one in raw) and file in files:
        files.remove(file)


def info():
    file = some(files, NOWHERE)
    compare("get_file_info", lambda s: s.api.get_file_info_by_id(s.url, s.token, s.of(file)))


def list_names():
    bucket, prefix = some(buckets[:3], "e73ede990000000000000999"), rng.choice(("", "a/", "b/", "z"))
    start, count = prefix + rng.choice(("", "c/x", "y")), rng.choice((1, 2, 5, 100))
    compare("list_names", lambda s: s.api.list_file_names(s.url, s.token, s.of(bucket), start, count, prefix or None))


def list_versions():
    bucket, prefix = some(buckets[:3], "e73ede990000000000000999"), rng.choice(("", "a/", "b/", "z"))
    start, count = prefix + rng.choice(("", "c/x", "y")), rng.choice((1, 3, 7, 1000))
    compare(
        "list_versions",
        lambda s: s.api.list_file_versions(s.url, s.token, s.of(bucket), start, None, count, prefix or None),
    )


def walk_versions():
    """All pages: what matters is that nothing is lost or doubled, wherever the pages are cut."""
    bucket, count = some(buckets[:3], "e73ede990000000000000999"), rng.choice((1, 2, 5))

    def call(side):
        found, name, file = [], None, None
        while True:
            page = side.api.list_file_versions(side.url, side.token, side.of(bucket), name, file, count, None)
            found += page["files"]
            name, file = page["nextFileName"], page["nextFileId"]
            if name is None:
                return {"files": found}

    compare("walk_versions", call)


def download():
    bucket, name = some(buckets[:3], "diff-bucket-nowhere"), rng.choice(NAMES)
    named = lambda s: bucket_names.get(bucket, "diff-bucket-nowhere")

    def call(side):
        with side.api.download_file_from_url(
            side.token, side.api.get_download_url_by_name(side.download, named(side), name)
        ) as response:
            body = b"".join(response.iter_content(65536))
            headers = response.headers
            return {
                "fileName": headers["x-bz-file-name"].replace("%20", "+"),
                "contentSha1": headers["x-bz-content-sha1"],
                "contentLength": int(headers["content-length"]),
                "contentType": headers["content-type"],
                "fileId": headers["x-bz-file-id"],
                "action": body.hex(),
            }

    compare("download", call)


def copy():
    file, name = some(files, NOWHERE), rng.choice(NAMES)
    span = (0, 2) if rng.random() < 0.3 else None
    replace = rng.random() < 0.4

    def call(side):
        more = {"content_type": "text/other", "file_info": {"n": "1"}} if replace else {}
        mode = MetadataDirectiveMode.REPLACE if replace else MetadataDirectiveMode.COPY
        return side.api.copy_file(
            side.url, side.token, side.of(file), name, bytes_range=span, metadata_directive=mode, **more
        )

    raw = compare("copy", call, "fileId")
    if "error" not in raw[0]:
        # The simulator forgets which bucket a copy is in.
        sim.file_id_to_bucket_id[raw[0]["fileId"]] = raw[0]["bucketId"]
    remember(raw, "fileId", files)


def start_large():
    bucket, name = some(buckets[:3], "e73ede990000000000000999"), rng.choice(NAMES) + ".large"

    def call(side):
        return side.api.start_large_file(side.url, side.token, side.of(bucket), name, "text/large", {})

    remember(compare("start_large", call, "fileId"), "fileId", unfinished)


parts = {}


def upload_part():
    from hashlib import sha1

    if not unfinished:
        return start_large()
    file, number = rng.choice(unfinished), rng.choice((1, 1, 2, 3))
    data = bytes(rng.randrange(256) for _ in range(rng.choice((200, 250))))
    digest = sha1(data).hexdigest()

    def call(side):
        given = side.api.get_upload_part_url(side.url, side.token, side.of(file))
        return side.api.upload_part(
            given["uploadUrl"], given["authorizationToken"], number, len(data), digest, io.BytesIO(data)
        )

    raw = compare("upload_part", call)
    if all("error" not in one for one in raw):
        parts.setdefault(file, {})[number] = digest


def list_parts():
    if not unfinished:
        return start_large()
    file = rng.choice(unfinished)
    count = rng.choice((1, 2, 100))
    compare("list_parts", lambda s: s.api.list_parts(s.url, s.token, s.of(file), None, count))


def finish_large():
    if not unfinished:
        return start_large()
    file = rng.choice(unfinished)
    known = parts.get(file, {})
    digests = [known[number] for number in sorted(known)]
    if rng.random() < 0.2:
        digests = digests[::-1]
    raw = compare("finish_large", lambda s: s.api.finish_large_file(s.url, s.token, s.of(file), digests))
    if all("error" not in one for one in raw):
        unfinished.remove(file)
        files.append(file)
    elif any("error" not in one for one in raw):
        raise SystemExit("one finished, the other not")


def cancel_large():
    if len(unfinished) < 4:
        return start_large()
    file = rng.choice(unfinished)
    raw = compare("cancel_large", lambda s: s.api.cancel_large_file(s.url, s.token, s.of(file)))
    if all("error" not in one for one in raw):
        unfinished.remove(file)


def list_unfinished():
    bucket = some(buckets[:3], "e73ede990000000000000999")


    def call(side):
        answer = side.api.list_unfinished_large_files(side.url, side.token, side.of(bucket), None, 100, None)
        return {"files": sorted(answer["files"], key=lambda one: side.names.get(one["fileId"], "?"))}

    compare("list_unfinished", call)


def list_buckets():
    one = some(buckets, "e73ede990000000000000999") if rng.random() < 0.5 else None
    compare("list_buckets", lambda s: ours(s.api.list_buckets(s.url, s.token, s.account, side_id(s, one), None)))


def ours(answer):
    return {"buckets": [one for one in answer["buckets"] if one["bucketName"].startswith("diff-")]}


def side_id(side, one):
    return None if one is None else side.of(one)


def update_bucket():
    bucket = some(buckets, "e73ede990000000000000999")
    revision = rng.choice((None, None, 1, 2))
    note_ = {"r": str(rng.randrange(9))}
    compare(
        "update_bucket",
        lambda s: s.api.update_bucket(
            s.url, s.token, s.account, s.of(bucket), bucket_info=note_, if_revision_is=revision
        ),
    )


def key_life():
    name = rng.choice(("key-one", "key two", "key-3"))
    caps = ["listFiles", "readFiles"]
    raw = compare(
        "create_key", lambda s: s.api.create_key(s.url, s.token, s.account, caps, name, None, None, None)
    )
    if all("error" not in one for one in raw):
        ids = {side: one["applicationKeyId"] for side, one in zip(sides, raw)}
        compare("delete_key", lambda s: s.api.delete_key(s.url, s.token, ids[s]))
        compare("delete_key", lambda s: s.api.delete_key(s.url, s.token, ids[s]))


def share():
    bucket, prefix = some(buckets[:3], "e73ede990000000000000999"), rng.choice(("", "a/"))
    compare("download_authorization", lambda s: s.api.get_download_authorization(s.url, s.token, s.of(bucket), prefix, 60))


NOWHERE = "4_z" + "e73ede990000000000000999" + "_f0000000000000999_d20200101_m000000_c000_v0001000_t0000"
where, bucket_names = {}, {}
WEIGHTED = [
    (upload, 24), (hide, 6), (delete, 12), (info, 6), (list_names, 12), (list_versions, 10), (walk_versions, 4),
    (download, 10), (copy, 6), (start_large, 2), (upload_part, 8), (list_parts, 3), (finish_large, 4),
    (cancel_large, 2), (list_unfinished, 2), (list_buckets, 3), (update_bucket, 4), (key_life, 1), (share, 2),
    (create_bucket, 2),
]
operations = [one for one, _ in WEIGHTED]
weights = [weight for _, weight in WEIGHTED]
rng_type, rng_good = "allPrivate", True
for _ in range(5):
    create_bucket()
while sum(performed.values()) < wanted:
    for bucket in sim.bucket_name_to_bucket.values():
        bucket.upload_url_counter = iter(range(10))
        bucket.upload_timestamp_counter = iter([5000] * 10)
        bucket_names[left.names[bucket.bucket_id]] = bucket.bucket_name
        for (name, real), _ in bucket.file_name_and_id_to_file.items():
            if real in left.names:
                where[left.names[real]] = name
            sim.file_id_to_bucket_id.setdefault(real, bucket.bucket_id)
    for bucket in sim.bucket_name_to_bucket.values():
        for real in bucket.file_id_to_file:
            sim.file_id_to_bucket_id[real] = bucket.bucket_id
    rng_type = rng.choice(("allPrivate", "allPublic"))
    rng_good = rng.random() < 0.95
    rng.choices(operations, weights)[0]()

print(json.dumps({"operations": sum(performed.values()), "performed": performed, "differences": differences}))
