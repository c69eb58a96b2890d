"""Where test jobs run: a sandbox that `up` starts beside the rest, the one that stands in for fal, or one elsewhere."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from genfeed import up
from genfeed.supervisor import Child
from tests.ops.test_settings import load  # noqa: F401 - the fixture
from tests.sandbox_server import free_port

Load = Callable[..., dict[str, Any]]


class _Supervisor:
    """Remembers what would be started."""

    stopping = True

    def __init__(self) -> None:
        self.started: list[Child] = []

    def start(self, child: Child) -> None:
        self.started.append(child)

    def wait_until(self, *_: Any, **__: Any) -> None: ...


@pytest.fixture
def left(settings: Any, tmp_path: Path) -> Path:
    """The file in which `up` leaves the address."""
    settings.TEST_SANDBOX_FILE = tmp_path / "test_sandbox_url"
    settings.TEST_SANDBOX_URL = ""
    return settings.TEST_SANDBOX_FILE


def started(port: int) -> Child:
    """What `up` would start, where `port` is the usual one."""
    supervisor: Any = _Supervisor()
    chosen = up._choose_test_sandbox(wanted=up.wants_test_sandbox(), port=port)
    up._start_all(supervisor, host="127.0.0.1", port=1, sandbox_port=None, test_socket=chosen, say=print)
    (child,) = [child for child in supervisor.started if child.name == "test sandbox"]
    return child


def test_with_a_key_one_is_started_for_test_jobs_alone(left: Path) -> None:
    port = free_port()
    child = started(port)
    listening = child.sockets[0]

    assert left.read_text() == f"http://127.0.0.1:{port}"
    assert listening.getsockname() == ("127.0.0.1", port)
    assert list(child.command[2:5]) == ["sandbox", "--fd", str(listening.fileno())]


def test_where_its_port_is_taken_it_gets_another(left: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(port).sockets[0] as other:
            assert left.read_text() == f"http://127.0.0.1:{other.getsockname()[1]}" != f"http://127.0.0.1:{port}"


def test_nobody_takes_its_port_before_it_is_there_or_while_it_starts_again(left: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as usual:
        child = started(usual.getsockname()[1])
    with child.sockets[0] as listening, socket.socket() as outgoing:
        for _ in range(2):
            # Where an outgoing connection, or a server, may take what nobody listens on.
            outgoing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                outgoing.bind(listening.getsockname())
            child.start()
            try:
                # It is asked before it has begun: it answers once it has.
                assert httpx.get(f"{left.read_text()}/_sandbox/state", timeout=30, trust_env=False).status_code == 200
            finally:
                child.kill()
                assert child.process is not None
                child.process.wait(10)


def test_none_is_started_where_one_runs_elsewhere(left: Path, settings: Any) -> None:
    left.write_text("http://127.0.0.1:8484")
    settings.TEST_SANDBOX_URL = "http://sandbox:8484"

    assert up.wants_test_sandbox() is False
    assert up._choose_test_sandbox(wanted=False, port=1) is None
    assert not left.exists()


def test_a_later_start_takes_its_own_address_for_no_other(left: Path, settings: Any) -> None:
    left.write_text("http://127.0.0.1:8484")
    settings.TEST_SANDBOX_URL = "http://127.0.0.1:8484"

    assert up.wants_test_sandbox() is True


def test_every_command_finds_the_one_that_runs(load: Load, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "test_sandbox_url").write_text("http://127.0.0.1:9999\n")

    assert load(FAL_KEY="real:key")["TEST_SANDBOX_URL"] == "http://127.0.0.1:9999"
    assert load(TEST_SANDBOX_URL="http://sandbox:8484")["TEST_SANDBOX_URL"] == "http://sandbox:8484"


def test_the_sandbox_that_stands_in_for_fal_runs_test_jobs_too(load: Load, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "sandbox_url").write_text("http://127.0.0.1:8484")

    assert load()["TEST_SANDBOX_URL"] == "http://127.0.0.1:8484"


def test_files_of_the_test_sandbox_are_fetched_for_test_jobs_alone(load: Load, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "test_sandbox_url").write_text("http://127.0.0.1:9999")

    assert "127.0.0.1:9999" not in load(FAL_KEY="real:key")["SSRF_ALLOW"]
