"""A few dozen operations of the official SDK against the endpoint given: buckets, uploads, large files, versions, hiding,
copies, ranges, sync, keys, deletes. Prints the number of operations; any surprise is an exception. It judges the server."""

import io
import os
import sys
import tempfile
import time

from b2sdk import v2 as b2
from b2sdk.v2 import exception as err

endpoint, key_id, key = sys.argv[1:4]
count = 0


def op(value=None):
    global count
    count += 1
    return value


def refused(kind, call):
    op()
    try:
        call()
    except kind:
        return
    raise AssertionError(f"not refused with {kind.__name__}")


api = b2.B2Api(b2.InMemoryAccountInfo())
refused(err.InvalidAuthToken, lambda: b2.B2Api(b2.InMemoryAccountInfo()).authorize_account(endpoint, key_id, "wrong"))
api.authorize_account(endpoint, key_id, key), op()

# Buckets
bucket = op(api.create_bucket("sdk-bucket", "allPrivate"))
refused(err.DuplicateBucketName, lambda: api.create_bucket("sdk-bucket", "allPrivate"))
assert op(api.get_bucket_by_name("sdk-bucket")).id_ == bucket.id_
refused(err.NonExistentBucket, lambda: api.get_bucket_by_name("no-such-bucket"))
assert "sdk-bucket" in [b.name for b in op(api.list_buckets())]
revision = bucket.revision
bucket = op(bucket.update(bucket_info={"a": "b"}, if_revision_is=revision))
assert bucket.revision == revision + 1 and bucket.bucket_info == {"a": "b"}
refused(err.Conflict, lambda: bucket.update(bucket_info={"a": "c"}, if_revision_is=revision))

# Upload, download, ranges, metadata
names = ["plain.txt", "dir/with space +%.txt", "dir/ü/日本.bin", "empty"]
for name in names:
    data = b"" if name == "empty" else f"body of {name}".encode()
    version = op(bucket.upload_bytes(data, name, file_info={"color": "bl ue+é"}, content_type="text/x-test"))
    assert version.size == len(data)
    out = io.BytesIO()
    got = op(bucket.download_file_by_name(name))
    got.save(out)
    assert out.getvalue() == data, name
    assert got.download_version.file_info["color"] == "bl ue+é"
    assert got.download_version.content_type == "text/x-test"
out = io.BytesIO()
op(bucket.download_file_by_name("plain.txt", range_=(5, 6))).save(out)
assert out.getvalue() == b"of"
refused(err.FileNotPresent, lambda: bucket.download_file_by_name("nowhere").save(io.BytesIO()))
info = op(bucket.get_file_info_by_name("plain.txt"))
assert op(api.get_file_info(info.id_)).file_name == "plain.txt"
refused(err.FileNotPresent, lambda: bucket.get_file_info_by_name("nowhere"))
refused(err.BadRequest, lambda: bucket.hide_file("a//b"))

# Versions, hide, unhide, list
for text in (b"one", b"two", b"three"):
    op(bucket.upload_bytes(text, "v.txt"))
    time.sleep(0.002)
assert len(list(op(bucket.list_file_versions("v.txt")))) == 3
assert [v.size for v in bucket.list_file_versions("v.txt")] == [5, 3, 3]
marker = op(bucket.hide_file("v.txt"))
assert marker.action == "hide" and marker.content_sha1 == "none", marker.content_sha1
refused(err.FileAlreadyHidden, lambda: bucket.hide_file("v.txt"))
refused(err.FileNotPresent, lambda: bucket.hide_file("nowhere"))
assert "v.txt" not in [f.file_name for f, _ in op(bucket.ls(latest_only=True, recursive=True))]
op(bucket.unhide_file("v.txt"))
assert "v.txt" in [f.file_name for f, _ in op(bucket.ls(latest_only=True, recursive=True))]
folders = [folder for _, folder in op(bucket.ls()) if folder]
assert folders == ["dir/"], folders
paged = [f.file_name for f, _ in op(bucket.ls(latest_only=False, recursive=True, fetch_count=1))]
assert paged.count("v.txt") == 3, paged

# Copy
source = op(bucket.get_file_info_by_name("plain.txt"))
copied = op(bucket.copy(source.id_, "copied.txt"))
assert copied.action == "copy"
part = op(bucket.copy(source.id_, "part.txt", offset=5, length=2))
out = io.BytesIO()
op(bucket.download_file_by_id(part.id_)).save(out)
assert out.getvalue() == b"of"
replaced = op(bucket.copy(source.id_, "replaced.txt", content_type="text/other", file_info={"n": "1"}))
assert replaced.content_type == "text/other" and replaced.file_info == {"n": "1"}

# Large files: parts in parallel, unfinished, cancel, concatenation by copy_part
large = os.urandom(700_000)
done = op(bucket.upload_bytes(large, "large.bin"))
assert done.size == 700_000, done.size
out = io.BytesIO()
op(bucket.download_file_by_name("large.bin")).save(out)
assert out.getvalue() == large
started = op(api.services.large_file.start_large_file(bucket.id_, "unfinished.bin", "b2/x-auto"))
assert [f.file_id for f in op(bucket.list_unfinished_large_files())] == [started.file_id]
op(bucket.cancel_large_file(started.file_id))
assert list(op(bucket.list_unfinished_large_files())) == []
refused(err.B2Error, lambda: bucket.cancel_large_file(started.file_id))
joined = op(
    bucket.concatenate(
        [b2.CopySource(done.id_, offset=0, length=300_000), b2.CopySource(done.id_, offset=300_000, length=400_000)],
        "joined.bin",
    )
)
out = io.BytesIO()
op(bucket.download_file_by_id(joined.id_)).save(out)
assert out.getvalue() == large
streamed = op(bucket.upload_unbound_stream(io.BytesIO(large), "streamed.bin"))
assert streamed.size == 700_000

# Sync, both ways
with tempfile.TemporaryDirectory() as folder:
    for name in ("one", "two"):
        with open(os.path.join(folder, name), "w") as file:
            file.write(name * 100)
    sync = lambda a, b: b2.Synchronizer(2, keep_days_or_delete=b2.KeepOrDeleteMode.DELETE).sync_folders(
        source_folder=b2.parse_folder(a, api),
        dest_folder=b2.parse_folder(b, api),
        now_millis=int(time.time() * 1000),
        reporter=b2.SyncReport(io.StringIO(), no_progress=True),
    )
    op(sync(folder, "b2://sdk-bucket/synced"))
    assert sorted(f.file_name for f, _ in bucket.ls("synced", recursive=True)) == ["synced/one", "synced/two"]
    os.remove(os.path.join(folder, "one"))
    op(sync(folder, "b2://sdk-bucket/synced"))
    assert [f.file_name for f, _ in bucket.ls("synced", recursive=True)] == ["synced/two"]
    back = os.path.join(folder, "back")
    os.mkdir(back)
    op(sync("b2://sdk-bucket/synced", back))
    assert os.listdir(back) == ["two"]

# Restricted keys
made = op(
    api.create_key(
        ["listBuckets", "listFiles", "readFiles"], "restricted", bucket_id=bucket.id_, name_prefix="dir/"
    )
)
assert made.id_ in [k.id_ for k in op(api.list_keys())]
small = b2.B2Api(b2.InMemoryAccountInfo())
small.authorize_account(endpoint, made.id_, made.application_key), op()
theirs = op(small.get_bucket_by_name("sdk-bucket"))
assert len(list(op(theirs.ls("dir", recursive=True)))) == 2
refused(err.B2Error, lambda: theirs.upload_bytes(b"x", "dir/x"))
refused(err.B2Error, lambda: list(theirs.ls("", recursive=True)))
refused(err.B2Error, lambda: small.list_buckets())
op(api.delete_key(made))
refused(err.B2Error, lambda: list(theirs.ls("dir", recursive=True)))

# Download authorization
token = op(bucket.get_download_authorization("dir/", 60))
assert token

# Deletes
one = op(bucket.upload_bytes(b"x", "once"))
op(one.delete())
refused(err.FileNotPresent, lambda: one.delete())
refused(err.B2Error, lambda: api.delete_bucket(bucket))
for version, _ in op(bucket.ls(latest_only=False, recursive=True)):
    op(api.delete_file_version(version.id_, version.file_name))
op(api.delete_bucket(bucket))
refused(err.NonExistentBucket, lambda: api.get_bucket_by_name("sdk-bucket"))
print(count)
