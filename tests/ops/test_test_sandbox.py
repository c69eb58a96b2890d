"""Where test jobs run: a sandbox that `up` starts beside the rest, the one that stands in for fal, or one elsewhere."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_with_a_key_one_is_started_for_test_jobs_alone(left: Path) -> None:
    supervisor: Any = _Supervisor()
    port = up._choose_test_sandbox(wanted=up.wants_test_sandbox(), port=free_port())

    up._start_all(supervisor, host="127.0.0.1", port=1, sandbox_port=None, test_port=port, say=print)

    assert left.read_text() == f"http://127.0.0.1:{port}"
    (command,) = [child.command for child in supervisor.started if child.name == "test sandbox"]
    assert list(command[2:5]) == ["sandbox", "--port", str(port)]


def test_where_its_port_is_taken_it_gets_another(left: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert up._choose_test_sandbox(wanted=True, port=port) not in (port, None)


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
