"""Storing files: bytes a second from loopback, and the memory of many large ones at once."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.processes import settings_for
from tests.bench.rows import Row, above, below, judged_if
from tests.sandbox_server import ROOT

MB = 1024 * 1024
# GENFEED_BENCH_GB=10 is the figure of the requirement, and what its bar is of; the disk must have room for it.
FULL_GB = 10
IN_FLIGHT_GB = float(os.environ.get("GENFEED_BENCH_GB", "2"))
AT_ONCE = 40
SINGLE_MB = 1024

# A server of one film of any length: a header that is one, and zeros behind it.
_SERVER = """
import socket, sys, threading
size = int(sys.argv[1])
piece = bytes(1024 * 1024)
head = b"\\x00\\x00\\x00\\x18ftypisom\\x00\\x00\\x02\\x00isomiso2"
def answer(connection):
    with connection:
        asked = b""
        while b"\\r\\n\\r\\n" not in asked:
            asked += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n" % size + head)
        left = size - len(head)
        while left:
            connection.sendall(piece[:left])
            left -= min(left, len(piece))
listener = socket.create_server(("127.0.0.1", 0), backlog=256)
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
"""
# What a dispatcher's threads do with files, `at_once` of them; rows apart, which are written beside.
_FETCHER = """
import json, os, resource, sys, time
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
from jobs.assets import fetching
from jobs.assets.models import Asset
url, count, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def fetch(number):
    asset = Asset(pk=f"ast_{number:026}", client_id=1, source_url=url, name="film.mp4", promised="video", attempts=1)
    done = fetching.ask(asset)
    assert isinstance(done, fetching.Stored), done
    return done.size
before = resource.getrusage(resource.RUSAGE_SELF)
started = time.perf_counter()
with ThreadPoolExecutor(at_once) as pool:
    size = sum(pool.map(fetch, range(count)))
seconds = time.perf_counter() - started
after = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps(dict(
    size=size, seconds=seconds, peak=after.ru_maxrss / 1024, before=before.ru_maxrss / 1024,
    cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
)))
"""


def measure() -> Iterator[Row]:
    """Files of a film's type, downloaded, hashed, read and stored as the dispatcher does it, on the disk of /tmp."""
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-") as folder:
        done = _store(Path(folder) / "one", SINGLE_MB // 4, 4, 1)
        yield above("Storing files, one after another", done["size"] / MB / done["seconds"], 100, "MB/s")
        yield Row("  CPU of the dispatcher for a GB", f"{done['cpu'] / done['size'] * 1024 * MB:.1f} s")
        each = int(IN_FLIGHT_GB * 1024 / AT_ONCE)
        done = _store(Path(folder) / "many", each, AT_ONCE, AT_ONCE)
        what = f"Memory with {done['size'] / 1024 / MB:.1f} GB in flight, {AT_ONCE} files of {each} MB at once"
        row = below(what, done["peak"], 200, "MB", f" ({done['before']:.0f} MB before the first)")
        yield judged_if(IN_FLIGHT_GB >= FULL_GB, row)
        yield Row("  all of them stored", f"{done['size'] / MB / done['seconds']:,.0f} MB/s")


def _store(var: Path, each_mb: int, count: int, at_once: int) -> dict[str, float]:
    with _server(each_mb * MB) as port:
        settings = settings_for(var) | {"SSRF_ALLOW": f"127.0.0.1:{port}", "ASSET_DOWNLOAD_SECONDS": "3600"}
        arguments = [f"http://127.0.0.1:{port}/film.mp4", str(count), str(at_once)]
        done = subprocess.run(
            [sys.executable, "-c", _FETCHER, *arguments], cwd=ROOT, env=settings, capture_output=True, text=True
        )
    shutil.rmtree(var, ignore_errors=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def _server(size: int) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", _SERVER, str(size)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    for row in measure():
        print(row.what, "|", row.measured, "|", row.bar, "|", row.passed)
