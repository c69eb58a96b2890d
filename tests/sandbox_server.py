"""A running sandbox for tests: a process of its own on a free port, with its control API as methods."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT.parent / "shared" / "fal"
API_KEY = "sandbox-key:sandbox-secret"
ADMIN_KEY = "sandbox-admin:sandbox-secret"
START_SECONDS = 30
STOP_SECONDS = 10


def recorded_catalog(month: str) -> Path:
    """The recorded catalog of "2026-06" or "2026-01"; the test is skipped where the recordings are missing."""
    path = RECORDINGS / f"catalog-{month}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"the recorded catalog ../shared/fal/{path.name} is not beside this checkout")
    return path


class RunningSandbox:
    """The handle of a running sandbox. `client` carries no key; paths are relative to `base_url`."""

    def __init__(self, base_url: str, pid: int) -> None:
        self.base_url = base_url
        self.pid = pid
        self.platform_url = f"{base_url}/v1"
        self.queue_url = f"{base_url}/queue"
        self.run_url = f"{base_url}/run"
        self.rest_url = f"{base_url}/rest"
        self.cdn_url = f"{base_url}/cdn"
        self.web_url = base_url
        self.client = httpx.Client(base_url=base_url, timeout=30, trust_env=False)

    def settings(self) -> dict[str, str]:
        """The settings that make an installation talk to it, as environment variables have them."""
        return {
            "FAL_KEY": API_KEY,
            "FAL_ADMIN_KEY": ADMIN_KEY,
            "FAL_PLATFORM_URL": self.platform_url,
            "FAL_QUEUE_URL": self.queue_url,
            "FAL_RUN_URL": self.run_url,
            "FAL_REST_URL": self.rest_url,
            "FAL_CDN_URL": self.cdn_url,
            "FAL_WEB_URL": self.web_url,
            "SSRF_ALLOW": self.base_url.removeprefix("http://"),
        }

    def state(self) -> dict[str, Any]:
        """What it offers, and which faults are on."""
        return self._control("GET", "state")

    def faults(self, **switches: Any) -> dict[str, Any]:
        """Switch faults on; those not named stay as they are."""
        return self._control("POST", "faults", switches)

    def account(self, key: str, name: str, *, balance: float = 1_000, admin: bool = False) -> str:
        """One more account, with one key, which is returned; asked again, its terms change."""
        self._control("POST", "accounts", {"key": key, "name": name, "balance": balance, "admin": admin})
        return key

    def clear_faults(self) -> None:
        """Switch all faults off, and forget the rate limit windows."""
        self._control("DELETE", "faults")

    def reset(self) -> None:
        """Catalog, faults and request log as they were at the start."""
        self._control("POST", "reset")

    def model(self, endpoint_id: str) -> dict[str, Any]:
        """A model as a row of a catalog file."""
        return self._control("GET", f"models/{endpoint_id}")

    def patch_model(self, endpoint_id: str, **change: Any) -> dict[str, Any]:
        """Change a model: metadata, status, openapi, openapi_patch, price, price_note, touch, …"""
        return self._control("POST", f"models/{endpoint_id}", change)

    def delete_model(self, endpoint_id: str) -> None:
        """Take a model away from everywhere."""
        self._control("DELETE", f"models/{endpoint_id}")

    def add_model(self, row: dict[str, Any]) -> dict[str, Any]:
        """Offer one more model; a row of a catalog file, whose metadata may be short."""
        return self._control("POST", "models", row)

    def load_catalog(self, path: Path | None) -> None:
        """Offer the models of another file; None: the built-in ones."""
        self._control("POST", "catalog", {"path": None if path is None else str(path)})

    def queue(self) -> dict[str, Any]:
        """The queue: accepted, waiting, running, finished, forgotten, and its latest requests, newest first."""
        return self._control("GET", "queue")

    def move(self, request_id: str, do: str | None = None, **effects: Any) -> dict[str, Any]:
        """Move a request by hand: start, finish, requeue, webhook (once more); effects are laid over its own."""
        return self._control("POST", f"queue/{request_id}", effects | ({} if do is None else {"do": do}))

    def webhooks(self) -> list[dict[str, Any]]:
        """Every attempt to deliver a webhook, oldest first."""
        return self._control("GET", "webhooks")["attempts"]

    def requests(self) -> list[dict[str, Any]]:
        """The calls since the last reset, oldest first: method, path, query, had_key, key_id, status, fault."""
        return self._control("GET", "requests")["requests"]

    def request_counts(self) -> dict[str, int]:
        """How many calls there were since the last reset, by "METHOD /path"."""
        return self._control("GET", "requests")["counts"]

    def clear_requests(self) -> None:
        """Forget the calls so far."""
        self._control("DELETE", "requests")

    def _control(self, method: str, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.client.request(method, f"/_sandbox/{what}", json=body)
        assert answer.is_success, f"{method} /_sandbox/{what}: {answer.status_code} {answer.text}"
        return answer.json()


def free_port() -> int:
    """A port of the loopback interface that nobody uses at this moment.

    Below those that Linux gives to outgoing connections (from 32768 on): one of them might take it before the server
    does that is to start there.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_768), 100):
        with socket.socket() as probe:
            # As servers do: a port whose last connection has just ended is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise RuntimeError("no port is free")


@contextmanager
def running_sandbox(*, catalog: Path | None = None, latency_ms: float = 0) -> Iterator[RunningSandbox]:
    """Run a sandbox over a catalog file, or its built-in models, while the block runs."""
    port = free_port()
    command = [sys.executable, "-m", "genfeed.sandbox", "--port", str(port), "--latency", str(latency_ms)]
    if catalog is not None:
        command += ["--catalog", str(catalog)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    handle = RunningSandbox(f"http://127.0.0.1:{port}", process.pid)
    try:
        _wait_until_ready(handle, process)
        yield handle
    finally:
        handle.client.close()
        _stop(process)


def _wait_until_ready(handle: RunningSandbox, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the sandbox ended at its start:\n{process.stdout and process.stdout.read()}")
        try:
            handle.state()
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"the sandbox was not ready within {START_SECONDS} seconds")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
