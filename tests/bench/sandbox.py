"""The sandbox itself: it must never be what slows a measurement of jobs down."""

import asyncio
import json
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from tests.bench.rows import Row, above, below
from tests.sandbox_server import API_KEY, RunningSandbox, running_sandbox

CYCLES, CONNECTIONS = 3_000, 32
ENDPOINT, APP = "fal-ai/flux/dev", "fal-ai/flux"


def measure() -> Iterator[Row]:
    """Cycles of submission, states and result, from several connections."""
    with running_sandbox() as sandbox:
        sandbox.faults(processing_ms=20, concurrency=1000)
        process = psutil.Process(sandbox.pid)
        asyncio.run(_cycles(sandbox, 200))
        used = _seconds(process)
        started = time.perf_counter()
        asyncio.run(_cycles(sandbox, CYCLES))
        elapsed = time.perf_counter() - started
        yield above("sandbox: submission, states and result", CYCLES / elapsed, 200, "cycles/s")
        yield above("  for each second of a core", CYCLES / (_seconds(process) - used), 200, "cycles")
        yield below("  its memory after that", process.memory_info().rss / 1e6, 300, "MB")


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _cycles(sandbox: RunningSandbox, count: int) -> None:
    left = list(range(count))
    await asyncio.gather(*(_connection(sandbox, left) for _ in range(CONNECTIONS)))


async def _connection(sandbox: RunningSandbox, left: list[int]) -> None:
    parts = urlsplit(sandbox.base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)

    async def call(method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Key {API_KEY}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(answer[9:12]), await reader.readexactly(length)

    while left:
        status, taken = await call("POST", f"/queue/{ENDPOINT}", json.dumps({"prompt": f"fox {left.pop()}"}).encode())
        assert status == 200, taken
        path = f"/queue/{APP}/requests/{json.loads(taken)['request_id']}"
        while (await call("GET", f"{path}/status"))[0] == 202:
            await asyncio.sleep(0.02)
        status, result = await call("GET", path)
        assert status == 200, result
    writer.close()
