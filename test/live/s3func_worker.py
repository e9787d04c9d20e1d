"""A contender that is a Python s3func client. Tells the same lines as contender.worker.ts, on the same clock
(time.monotonic_ns is CLOCK_MONOTONIC). Its locks never end by themselves, so its lines have no `until`.
Takes one order a line on standard input; judges nothing.
"""
import datetime
import json
import random
import sys
import threading
import time

from s3func.locking import S3Lock

settings = json.loads(sys.argv[1])
locks = {}


def now():
    return time.monotonic_ns() / 1e6


def tell(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def lock_of(key):
    return S3Lock(
        settings["accessKeyId"],
        settings["secretAccessKey"],
        settings["bucket"],
        key,
        endpoint_url=settings["endpoint"],
        region=settings["region"],
    )


def got(lock, key, mode):
    tell(event="got", key=key, mode=mode, ticket=lock.lock_id, at=now())


def end(lock):
    tell(event="ending", ticket=lock.lock_id, at=now())
    lock.release()


def contend(order, stop):
    chance = random.Random(order["seed"])
    while not stop.is_set():
        key = chance.choice(order["keys"])
        mode = "shared" if chance.random() < order["sharedShare"] else "exclusive"
        tell(event="ask", key=key, mode=mode, how="acquire", at=now())
        lock = lock_of(key)
        # It looks once a second; a limit lets it leave the line now and then.
        if not lock.acquire(timeout=order["waitS"], exclusive=mode == "exclusive"):
            tell(event="gaveUp", how="acquire")
            continue
        got(lock, key, mode)
        until = time.monotonic() + chance.uniform(0.005, 0.15)
        while time.monotonic() < until:
            tell(event="touch", ticket=lock.lock_id, at=now())
            time.sleep(0.02)
        end(lock)
    tell(event="bye", requests=0)


def obey(order):
    key = order["key"]
    lock = locks.setdefault(key, lock_of(key))
    if order["do"] == "acquire":
        return lock.acquire(timeout=order["waitS"], exclusive=order["mode"] == "exclusive")
    if order["do"] == "release":
        return lock.release()
    if order["do"] == "verify":
        return lock.verify()
    if order["do"] == "others":
        return {id: other["lock_type"] for id, other in lock.other_locks().items()}
    if order["do"] == "break":
        # Timestamps are the server's, and may be a step ahead of this clock.
        cutoff = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
        return sorted(entry["key"] for entry in lock.break_other_locks(timestamp=cutoff))
    raise ValueError(order["do"])


def main():
    stop = threading.Event()
    contending = None
    tell(event="hello")
    for text in sys.stdin:
        order = json.loads(text)
        if order == "stop":
            break
        if order["do"] == "contend":
            contending = threading.Thread(target=contend, args=(order, stop))
            contending.start()
            continue
        try:
            tell(event="did", do=order["do"], answer=obey(order), lockId=locks[order["key"]].lock_id)
        except Exception as error:
            tell(event="did", do=order["do"], error=f"{type(error).__name__}: {error}")
    stop.set()
    if contending is not None:
        contending.join()


main()
