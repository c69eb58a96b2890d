"""`manage.py up` with real processes: everything starts together, survives a death, and stops together."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.prepared import copy_of_prepared, first_start
from tests.running_app import RunningApp, environment, running_app
from tests.sandbox_server import ROOT


@pytest.fixture
def prepared(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation that has been started before."""
    return copy_of_prepared(tmp_path_factory, tmp_path / "var")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One that was started before, started again: for all tests that leave it running, and the last, which stops it."""
    with running_app(copy_of_prepared(tmp_path_factory, tmp_path_factory.mktemp("up") / "var")) as running:
        yield running


def child(app: RunningApp, word: str) -> psutil.Process:
    return next(process for process in psutil.Process(app.process.pid).children() if word in process.cmdline())


def wait_for(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def answers(app: RunningApp) -> bool:
    try:
        return httpx.get(f"{app.base_url}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def test_a_port_in_use_is_told_in_one_sentence_and_nothing_is_started(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "manage.py", "up", "--port", str(port)],
            cwd=ROOT,
            env=environment(tmp_path / "var"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port} can't be used" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Preparing" not in done.stdout


def test_with_a_key_no_sandbox_is_used(tmp_path: Path):
    """Settings only: nothing is started, because the real fal is out of a test's reach."""
    code = (
        "from django.conf import settings; from genfeed.up import wants_sandbox; "
        "print(wants_sandbox(), settings.FAL_PLATFORM_URL)"
    )
    var = tmp_path / "var"
    var.mkdir()
    (var / "sandbox_url").write_text("http://127.0.0.1:8484")

    def asked(**settings: str) -> str:
        return subprocess.run(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
            cwd=ROOT,
            env=environment(var) | settings,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    assert asked() == "True http://127.0.0.1:8484/v1"
    assert asked(FAL_KEY="real:key") == "False https://api.fal.ai/v1"
    assert asked(FAL_API_KEY="real:key") == "False https://api.fal.ai/v1"


def test_the_first_start_makes_everything_and_the_second_keeps_it(
    app: RunningApp, prepared: Path, tmp_path_factory: pytest.TempPathFactory
):
    first = first_start(tmp_path_factory)
    assert first.ready == 200
    assert "the sandbox stands in" in first.output
    enabled = re.search(r"(\d+) enabled", first.output)
    assert enabled
    # Those whose price is known: the first sync reads prices too.
    assert int(enabled[1]) >= 600
    assert re.search(r"password \S+", first.output)
    assert (prepared / "secret_key").stat().st_mode & 0o777 == 0o600
    assert "password" not in app.output
    assert "Discovering" not in app.output
    assert (app.var / "secret_key").read_text() == (prepared / "secret_key").read_text()
    answer = httpx.get(f"{app.base_url}/api/v1/models", headers={"X-API-Key": first.key})
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 50


def test_other_commands_of_the_installation_find_the_running_sandbox(app: RunningApp):
    assert "759 models listed, 0 added" in app.manage("sync_models")


def test_a_child_that_dies_is_started_again(app: RunningApp):
    web = child(app, "genfeed.front.server")
    its_own = web.children(recursive=True)
    web.send_signal(signal.SIGKILL)
    wait_for(lambda: not web.is_running() or web.status() == psutil.STATUS_ZOMBIE)
    wait_for(lambda: "web ended (exit code -9)" in app.output)
    # They would go on beside those of the new one, and nobody would stop them any more.
    assert its_own
    wait_for(lambda: not any(one.is_running() for one in its_own) and answers(app))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_no_process_behind(app: RunningApp, tmp_path_factory: pytest.TempPathFactory, number: int):
    """By Ctrl-C of the one that all tests before have used, by SIGTERM of the first start that it began with."""
    if number == signal.SIGINT:
        stopped, output = app.stop_all(number), app.output
    else:
        stopped, output = first_start(tmp_path_factory).stopped, first_start(tmp_path_factory).output
    assert {"qcluster", "sandbox"} <= set(stopped.words)
    assert (stopped.code, stopped.left) == (0, 0)
    assert "Stopping" in output
    assert "did not stop in time" not in output
