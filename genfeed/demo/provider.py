"""The demo's own sandbox: a process of its own, which ends with the run, and its control API."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import httpx
from django.conf import settings
from django.test.utils import override_settings

_START_SECONDS = 30
_STOP_SECONDS = 10


class SandboxFailedError(Exception):
    """The sandbox could not be started; the message says what it said."""


class Provider:
    """What the demo's fal.ai does next."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._client = httpx.Client(base_url=base_url, timeout=30, trust_env=False)
        self._happens: dict[str, Any] = {}

    def settings(self) -> dict[str, Any]:
        """The settings that make this process talk to it. Without a public address, it is asked and calls nobody."""
        return {
            "FAL_KEY": settings.SANDBOX_KEY,
            "FAL_ADMIN_KEY": settings.SANDBOX_ADMIN_KEY,
            "FAL_PLATFORM_URL": f"{self.base_url}/v1",
            "FAL_QUEUE_URL": f"{self.base_url}/queue",
            "FAL_RUN_URL": f"{self.base_url}/run",
            "FAL_REST_URL": f"{self.base_url}/rest",
            "FAL_CDN_URL": f"{self.base_url}/cdn",
            "FAL_WEB_URL": self.base_url,
            "SSRF_ALLOW": [self.base_url.removeprefix("http://")],
            "PUBLIC_URL": "",
            "ALLOWED_HOSTS": ["localhost"],
        }

    def is_there(self) -> bool:
        try:
            return self._client.get("/v1/meta").is_success
        except httpx.TransportError:
            return False

    def switch(self, **faults: Any) -> None:
        """Sets switches of the sandbox; those not named stay."""
        self._control("faults", faults)

    def happens(self, **effects: Any) -> None:
        """What happens to every request from now on (docs/sandbox.md); nothing: all goes well."""
        if effects != self._happens:
            self.switch(jobs=[effects] if effects else [])
            self._happens = effects

    def price(self, endpoint_id: str) -> float:
        """What a unit of a model costs."""
        answer = self._client.get(f"/_sandbox/models/{endpoint_id}")
        answer.raise_for_status()
        return float(answer.json()["price"]["unit_price"])

    def reprice(self, endpoint_id: str, unit_price: float) -> None:
        """A unit of a model costs this from now on."""
        self._control(f"models/{endpoint_id}", {"price": {"unit_price": unit_price}})

    def close(self) -> None:
        self._client.close()

    def _control(self, what: str, body: dict[str, Any]) -> None:
        self._client.post(f"/_sandbox/{what}", json=body).raise_for_status()


@contextmanager
def own_sandbox(port: int) -> Iterator[Provider]:
    """Starts a sandbox with its built-in catalog, and lets this process talk to it while the block runs.

    Pictures of models keep its address: at the port that `up` gives to its own sandbox they are found there again.
    """
    _refuse_a_used(port)
    command = [sys.executable, "-m", "genfeed.sandbox", "--port", str(port)]
    # A file takes whatever it says in a month; a pipe that nobody reads would stop it.
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env={name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        provider = Provider(f"http://127.0.0.1:{port}")
        try:
            _wait_for(provider, process, said)
            # Bills are there at once, and requests end as soon as they are looked at: the clock makes the waits.
            provider.switch(processing_ms=0, billing_lag=0)
            with override_settings(**provider.settings()):
                yield provider
        finally:
            provider.close()
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _refuse_a_used(port: int) -> None:
    """Whoever answers there already would be taken for the sandbox, and a month of jobs sent to it."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        raise SandboxFailedError(
            f"Something answers at port {port} already. Stop it, or choose another port with --sandbox-port."
        )


def _wait_for(provider: Provider, process: subprocess.Popen[bytes], said: IO[str]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is not None or not provider.is_there():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            said.seek(0)
            raise SandboxFailedError(f"The sandbox did not start. {said.read()[-500:]}".strip())
        time.sleep(0.05)
