"""One browser for the whole folder, and one application that the demo has filled, which tests may add to."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.prepared import migrated
from tests.running_app import RunningApp, manage, running_app
from tests.sandbox_server import free_port

# Without these, Chromium asks its maker's hosts at every start.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Without a window that nobody sees, where Debian has it: it takes a sixth less of the processor.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Gone with the last test of the folder: Playwright lets no other event loop run in its thread."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    """A page whose every complaint of the browser (also of its content security policy) fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture(scope="package")
def sandbox_port() -> int:
    """Of the demo's sandbox and, after it, of the application's: models' pictures are there."""
    return free_port()


@pytest.fixture(scope="package")
def demo_var(tmp_path_factory: pytest.TempPathFactory, sandbox_port: int) -> Path:
    """The folder of an installation that has seen a few days of the demo."""
    var = tmp_path_factory.mktemp("demo") / "var"
    var.mkdir()
    shutil.copy(migrated(tmp_path_factory), var / "db.sqlite3")
    days = ("--days", "2", "--quiet-days", "1", "--sandbox-port", str(sandbox_port))
    # In two days nothing is refused as often as in a month; one recommendation should be there to look at.
    done = manage(var, "demo", *days, RECOMMEND_MIN_THROTTLED="3")
    assert done.returncode == 0, done.stderr
    return var


@pytest.fixture(scope="package")
def app(demo_var: Path, sandbox_port: int) -> Iterator[RunningApp]:
    """That installation, running."""
    with running_app(demo_var, sandbox_port=sandbox_port) as running:
        yield running
