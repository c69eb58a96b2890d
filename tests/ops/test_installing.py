"""What `make` promises before anything is installed, and what the pinned requirements hold."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.sandbox_server import ROOT

REQUIREMENTS = [ROOT / f"requirements{part}.txt" for part in ("", "-dev", "-s3", "-uv")]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
@pytest.mark.parametrize("goal", ["setup", "run", "setup-dev"])
def test_without_a_python_that_is_new_enough_there_is_one_clear_sentence(tmp_path: Path, goal: str) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", goal, "PYTHON=", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "GenFeed needs Python 3.12 or newer" in done.stdout
    assert not (tmp_path / "venv").exists()


@needs_make
def test_make_alone_shows_what_there_is() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    for goal in ("run", "setup", "test", "lint", "bench"):
        assert f"make {goal} " in done.stdout


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.name)
def test_the_requirements_name_no_address_and_no_index(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert [line for line in lines if "://" in line or line.startswith(("-i", "--index", "--extra", "--find"))] == []


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.name)
def test_every_requirement_is_pinned_exactly_and_has_a_hash(file: Path) -> None:
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE)
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if entry.strip()]
    assert entries
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_direct_dependencies_have_the_same_versions_in_both_places() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = [re.sub(r"\[.*\]", "", one) for one in project["project"]["dependencies"]]
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?(==[^ ;\\]+)", REQUIREMENTS[0].read_text(), re.MULTILINE)
    assert set(direct) <= {name + version for name, version in pinned}
