"""An installation to be backed up, and an empty one in another place to put it back into."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from genfeed.backup import making
from tests.jobs.assets.conftest import media as media
from tests.jobs.conftest import dispatcher as dispatcher
from tests.jobs.conftest import run as run
from tests.jobs.conftest import sandbox as sandbox
from tests.running_app import environment
from tests.sandbox_server import ROOT, RunningSandbox


@dataclass
class Elsewhere:
    """An installation in another place, with nothing in it; its commands are processes of their own."""

    settings: dict[str, str]
    var: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.settings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def manage(self, *arguments: str, code: int = 0) -> str:
        """What a command says, which must end with the code."""
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == code, said
        return said

    def shell(self, text: str) -> str:
        """What a piece of Python prints there."""
        return self.manage("shell", "--no-imports", "-c", text).strip()


@pytest.fixture
def elsewhere(tmp_path: Path, sandbox: RunningSandbox, settings: Any) -> Iterator[Elsewhere]:
    var = tmp_path / "elsewhere"
    var.mkdir()
    own = environment(var) | sandbox.settings() | {
        "SECRET_KEY": settings.SECRET_KEY, "ENCRYPTION_KEYS": settings.ENCRYPTION_KEYS, "SUBMIT_GRACE_SECONDS": "1",
        "DJANGO_SETTINGS_MODULE": "genfeed.settings", "FAL_RETRY_DELAY": "0",
    }  # fmt: skip
    if connection.vendor == "sqlite":
        yield Elsewhere(own | {"DATABASE_URL": f"sqlite:///{var}/db.sqlite3"}, var)
        return
    url, name = os.environ["DATABASE_URL"], f"elsewhere_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield Elsewhere(own | {"DATABASE_URL": urlsplit(url)._replace(path=f"/{name}").geturl()}, var)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def back_up(into: Path, *options: str) -> Path:
    """Makes a backup, and returns the newest."""
    call_command("backup", str(into), *options)
    return making.existing(into)[-1]
