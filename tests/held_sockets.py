"""Web processes on listening sockets that the test holds, as systemd does: who connects waits for the next process."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from tests.sandbox_server import ROOT

START_SECONDS = 60
# The socket has to be descriptor 3, and the process its own number's, which only it knows.
_TAKE_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "manage.py", "web"])
"""


class HeldWeb:
    """One web process after another on one listening socket."""

    def __init__(self, settings: dict[str, str], log: Path) -> None:
        self.settings = settings
        self._log = log
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(1024)
        self.port: int = self._socket.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts one, and waits until it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Starts one."""
        number = self._socket.fileno()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _TAKE_OVER, str(number)],
                cwd=ROOT, env=self.settings, pass_fds=[number], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def wait(self) -> None:
        """Until it answers; fails with what it printed."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process is not None and self.process.poll() is None:
            try:
                if httpx.get(f"{self.base_url}/healthz", trust_env=False, timeout=START_SECONDS).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"the web process did not start:\n{self._log.read_text()[-3000:]}")

    def begin_to_stop(self) -> None:
        """SIGTERM, as systemd stops it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def says_that_it_will_stop(self) -> bool:
        """Whether /readyz says so while the process still serves, and its answers have clients connect elsewhere."""
        assert self.process is not None
        with httpx.Client(base_url=self.base_url, trust_env=False, timeout=START_SECONDS) as client:
            while self.process.poll() is None:
                try:
                    answer = client.get("/readyz")
                except httpx.TransportError:
                    # It ended meanwhile.
                    continue
                if answer.status_code == 503:
                    assert answer.json()["problems"] == {"process": "It is about to stop."}
                    return answer.headers.get("Connection") == "close"
        return False

    def workers(self) -> list[psutil.Process]:
        """The processes that serve, or will."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children()

    def wait_for_end(self) -> int:
        """The exit code of the process that was asked to stop; fails where it takes too long."""
        assert self.process is not None
        return self.process.wait(30)

    def reload(self) -> None:
        """SIGHUP, as systemd reloads it, and waits until new workers have taken the place of the old ones."""
        assert self.process is not None
        main = psutil.Process(self.process.pid)
        before = {worker.pid for worker in main.children()}
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + START_SECONDS
        while not (now := {worker.pid for worker in main.children()}) or now & before:
            assert time.monotonic() < deadline, f"no new workers:\n{self._log.read_text()[-3000:]}"
            time.sleep(0.1)
        self.wait()

    def close(self) -> None:
        """Stops what runs, and gives the socket back."""
        if self.process is not None and self.process.poll() is None:
            workers = psutil.Process(self.process.pid).children(recursive=True)
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            _, left = psutil.wait_procs(workers, timeout=1)
            for worker in left:
                worker.kill()
        self._socket.close()
