"""Load on one address: keep-alive connections that ask again as soon as they are answered.

wrk does it where it is installed (`make wrk`), for it takes a tenth of the CPU; else `asking.py` does.
"""

import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from tests.bench import asking

# What wrk tells at its end: requests, bytes, microseconds at both percentiles and of the whole, failures of each kind.
_SCRIPT = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("TOLD %d %d %d %d %d %d\\n", summary.requests, summary.bytes, latency:percentile(50),
    latency:percentile(99), summary.duration, e.connect + e.read + e.write + e.timeout + e.status))
end
"""


@dataclass(frozen=True)
class Load:
    """What a run measured: requests a second, latencies in milliseconds, answers of another status.

    `share`: how much of one core the load generator itself took.
    """

    per_second: float
    p50: float
    p99: float
    failures: int
    bytes_each: int
    share: float = 0.0


def tool() -> str:
    """What makes the load."""
    return "wrk" if shutil.which("wrk") else "tests/bench/asking.py"


def run(
    url: str,
    *,
    headers: dict[str, str],
    connections: int = 16,
    seconds: float = 5.0,
    body: bytes | None = None,
    expected: int = 200,
) -> Load:
    """Loads one loopback address for some seconds, by POST where there is a JSON body; raises ValueError for others.

    Answers with another status than `expected` count as failures, of wrk's those from 400 on: the first answer is
    looked at before, and a RuntimeError tells of another status.
    """
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("The load generator talks to this machine only.")
    sent = headers | ({} if body is None else {"Content-Type": "application/json"})
    with httpx.Client(trust_env=False, timeout=60, headers=sent) as http:
        first = http.get(url) if body is None else http.post(url, content=body)
    if first.status_code != expected:
        raise RuntimeError(f"{parts.path} answers {first.status_code} instead of {expected}: {first.text[:500]}")
    if tool() == "wrk":
        return _wrk(url, sent, connections, seconds, body, len(first.content))
    before, started = psutil.Process().cpu_times(), time.perf_counter()
    found = asking.run(url, sent, connections, seconds, body, expected)
    after, took = psutil.Process().cpu_times(), time.perf_counter() - started
    used = after.user + after.system - before.user - before.system
    latencies = sorted(found.latencies)
    return Load(
        per_second=len(latencies) / took,
        p50=1000 * latencies[len(latencies) // 2],
        p99=1000 * latencies[int(len(latencies) * 0.99)],
        failures=found.failures,
        bytes_each=len(first.content),
        share=used / took,
    )


def _wrk(
    url: str, headers: dict[str, str], connections: int, seconds: float, body: bytes | None, bytes_each: int
) -> Load:
    lines = [_SCRIPT]
    if body is not None:
        lines.append(f'wrk.method = "POST"\nwrk.body = [==[{body.decode()}]==]')
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        # Headers by option: a key that stands in no file is left behind in none.
        named = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        length = [f"-d{max(1, round(seconds))}s", "-t1", f"-c{connections}", "--timeout", "60s"]
        process = psutil.Popen(["wrk", *length, *named, "-s", str(Path(script.name)), url], stdout=subprocess.PIPE)
        used = 0.0
        while process.poll() is None:
            try:
                times = process.cpu_times()
            except psutil.Error:
                break
            used = max(used, times.user + times.system)
            time.sleep(0.1)
        output = process.communicate()[0].decode()
    told = [line.split()[1:] for line in output.splitlines() if line.startswith("TOLD ")]
    if not told:
        raise RuntimeError(f"wrk failed:\n{output}")
    requests, _size, p50, p99, micros, failures = map(int, told[0])
    return Load(requests / micros * 1e6, p50 / 1000, p99 / 1000, failures, bytes_each, used / micros * 1e6)
