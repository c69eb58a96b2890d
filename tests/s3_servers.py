"""Servers that speak S3: a real store, OpenStack Swift, where it is installed, and one that is made for tests."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
import pytest

from tests.sandbox_server import ROOT, free_port

ACCESS_KEY, SECRET_KEY = "test:tester", "testing"
START_SECONDS = 60
# The Python that Debian's packages belong to.
_PYTHON = "/usr/bin/python3"


@cache
def has_swift() -> bool:
    """Whether this machine has Swift with its S3 interface."""
    command = [_PYTHON, "-c", "import eventlet, swift.common.middleware.s3api, swift.obj.mem_server"]
    return Path(_PYTHON).exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0


def need_swift() -> None:
    """Skips the test where there is none."""
    if not has_swift():
        pytest.skip("OpenStack Swift is not installed; as root on Debian `make swift` installs it")


class Swift:
    """A Swift on a port of its own, which can be stopped and started again; what it kept is gone then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers; fails with what it printed."""
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [_PYTHON, str(ROOT / "tests" / "swift_server.py"), str(self._folder), str(self._port)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={"PATH": "/usr/bin:/bin"},
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                httpx.get(self.url, trust_env=False, timeout=START_SECONDS)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"Swift did not start:\n{log.read_text()[-3000:]}")

    def stop(self) -> None:
        """Stops it; whoever asks is refused from then on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)


@contextmanager
def running_swift() -> Iterator[Swift]:
    """A running Swift."""
    with tempfile.TemporaryDirectory(prefix="genfeed-swift-") as folder:
        swift = Swift(Path(folder))
        try:
            swift.start()
            yield swift
        finally:
            swift.stop()


@contextmanager
def running_moto() -> Iterator[str]:
    """moto's server in a thread; its address. It keeps objects, and asks for no right key."""
    # Half a second, which every process of the tests would take.
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
