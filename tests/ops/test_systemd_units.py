"""deploy/systemd: what systemd says of the units, and their commands and environment, really run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.held_sockets import HeldWeb
from tests.prepared import migrated
from tests.running_app import environment
from tests.sandbox_server import ROOT

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
HARDENED = {
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict", "ProtectHome": "yes",
    "PrivateTmp": "yes", "PrivateDevices": "yes", "RestrictSUIDSGID": "yes", "StateDirectory": "genfeed",
    "StateDirectoryMode": "0700", "User": "genfeed", "SystemCallFilter": "@system-service",
}  # fmt: skip


def lines_of(unit: Path) -> dict[str, list[str]]:
    """The assignments of a unit; every line must be one, a comment or a section."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if not line or line.startswith(("#", "[")):
            continue
        name, sign, value = line.partition("=")
        assert sign == "=", (unit.name, line)
        assert re.fullmatch(r"[A-Za-z]+", name), (unit.name, line)
        found.setdefault(name, []).append(value)
    return found


def command_of(name: str) -> list[str]:
    """What a service runs, with this Python."""
    (line,) = lines_of(UNITS / f"genfeed-{name}.service")["ExecStart"]
    program, *arguments = line.split()
    assert program == "/srv/genfeed/.venv/bin/python"
    return [sys.executable, *arguments]


@pytest.fixture
def settings(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The example's environment, as systemd would read it, with secrets and places of the test."""
    var = tmp_path / "var"
    var.mkdir()
    shutil.copy(migrated(tmp_path_factory), var / "db.sqlite3")
    lines = (UNITS / "genfeed.env").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert {"PUBLIC_URL", "DATABASE_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "METRICS_TOKEN"} <= set(example)
    own = {
        "GENFEED_VAR_DIR": str(var), "DATABASE_URL": f"sqlite:///{var}/db.sqlite3", "SECRET_KEY": "x" * 50,
        "ENCRYPTION_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "FAL_KEY": "no:key",
        "FAL_PLATFORM_URL": "http://127.0.0.1:9/v1", "METRICS_TOKEN": "of the test",
        "CATALOG_SIGNING_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    }  # fmt: skip
    assert not [name for name, value in (example | own).items() if value == "CHANGE-ME"]
    return environment(var) | example | own


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_service_may_touch_nothing_but_its_own(unit: Path) -> None:
    lines = lines_of(unit)

    assert {name: lines.get(name) for name in HARDENED} == {name: [value] for name, value in HARDENED.items()}
    assert lines["EnvironmentFile"] == ["/etc/genfeed/genfeed.env"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as they would stand on a machine that has this checkout; for systemd to look at."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed; it comes with Debian's systemd")
    folder = tmp_path_factory.mktemp("units")
    for unit in (*SERVICES, *UNITS.glob("*.socket"), *UNITS.glob("*.timer"), *UNITS.glob("*.target")):
        text = unit.read_text().replace("/srv/genfeed/.venv/bin/python", sys.executable)
        (folder / unit.name).write_text(text.replace("/srv/genfeed", str(ROOT)))
    return folder


def analyze(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_systemd_understands_every_line(installed: Path) -> None:
    units = [str(unit) for unit in sorted(installed.iterdir())]

    done = analyze("verify", "--man=no", *units, folder=installed)

    said = [line for line in done.stderr.splitlines() if "genfeed" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_systemd_rates_the_exposure_of_each_service_as_low(installed: Path) -> None:
    for unit in sorted(installed.glob("*.service")):
        # Of 100; what it calls OK ends at 50, and a service without any of this has 96.
        done = analyze("security", "--offline=true", "--threshold=25", "--no-pager", str(unit), folder=installed)
        assert done.returncode == 0, done.stdout


def test_the_database_is_brought_up_to_date_before_anything_starts(settings: dict[str, str]) -> None:
    for name in ("web", "worker", "dispatcher"):
        assert lines_of(UNITS / f"genfeed-{name}.service")["Requires"][0].split()[0] == "genfeed-migrate.service"

    done = subprocess.run(
        command_of("migrate"), cwd=ROOT, env=settings, capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def web(settings: dict[str, str], tmp_path: Path) -> Iterator[HeldWeb]:
    one = HeldWeb(settings, tmp_path / "web.log")
    yield one
    one.close()


def test_the_web_process_takes_over_the_socket_and_is_ready(web: HeldWeb) -> None:
    assert command_of("web")[1:] == ["manage.py", "web"]
    assert lines_of(UNITS / "genfeed-web.socket")["ListenStream"] == ["127.0.0.1:8000"]

    web.begin()
    assert web.process is not None
    # A reload that comes while it starts must not end it: nobody may be told to wait before reloading.
    deadline = time.monotonic() + 20
    while not ignores(web.process.pid, signal.SIGHUP):
        assert time.monotonic() < deadline, "it does not ignore a reload while it starts"
        time.sleep(0.005)
    web.process.send_signal(signal.SIGHUP)
    web.wait()


def test_a_web_process_that_is_stopped_while_it_starts_ends_without_being_killed(web: HeldWeb) -> None:
    # Longer than is waited for here.
    web.settings["WEB_STOP_SECONDS"] = "600"
    web.begin()
    wait_until(lambda: len(web.workers()) == 2)
    loading = web.workers()
    web.begin_to_stop()

    assert web.wait_for_end() == 0
    assert not any(worker.is_running() for worker in loading)


def ignores(pid: int, number: signal.Signals) -> bool:
    """Whether a process ignores a signal just now; False where that can't be read yet."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^SigIgn:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(found and int(found[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("name", ["dispatcher", "worker"])
def test_a_process_without_work_ends_at_once_when_it_is_asked_to(
    settings: dict[str, str], name: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command_of(name), cwd=ROOT, env=settings | {"PYTHONUNBUFFERED": "1", "LOG_LEVEL": "INFO"},
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        if name == "worker":
            # The guard, and below it the monitor, the pusher and WORKER_PROCESSES workers.
            wait_until(lambda: len(psutil.Process(process.pid).children(recursive=True)) >= 5)
        else:
            wait_until(lambda: "The dispatcher is running" in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
