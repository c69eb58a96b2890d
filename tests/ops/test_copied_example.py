"""`.env.example` copied to `.env`, as its first line says: everything works as without it, the sandbox too."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_app import environment
from tests.sandbox_server import ROOT

EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
CODE = (
    "from django.conf import settings; from genfeed.up import wants_sandbox; "
    "print(wants_sandbox(), settings.SANDBOX_ACTIVE, settings.FAL_PLATFORM_URL, settings.FAL_WEB_URL)"
)


def asked(var: Path, **more: str) -> str:
    """Whether a start would run the sandbox, whether one is in use, and fal's addresses."""
    var.mkdir(exist_ok=True)
    settings = environment(var) | EXAMPLE | {"GENFEED_VAR_DIR": str(var), "DATABASE_URL": ""} | more
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", CODE],
        cwd=ROOT, env=settings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_the_first_start_runs_the_sandbox(tmp_path: Path) -> None:
    assert asked(tmp_path / "var") == "True False https://api.fal.ai/v1 https://fal.ai"


def test_every_command_finds_the_sandbox_that_runs(tmp_path: Path) -> None:
    var = tmp_path / "var"
    var.mkdir()
    (var / "sandbox_url").write_text("http://127.0.0.1:8484")
    assert asked(var) == "True True http://127.0.0.1:8484/v1 http://127.0.0.1:8484"


@pytest.mark.parametrize("name", ["FAL_KEY", "FAL_API_KEY"])
def test_a_key_that_is_filled_in_opens_fal_itself(tmp_path: Path, name: str) -> None:
    assert asked(tmp_path / "var", **{name: "real:key"}) == "False False https://api.fal.ai/v1 https://fal.ai"


def test_another_address_for_fal_needs_no_sandbox(tmp_path: Path) -> None:
    there = "https://fal.example.com/v1"
    assert asked(tmp_path / "var", FAL_PLATFORM_URL=there) == f"False False {there} https://fal.ai"
