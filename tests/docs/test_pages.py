"""The pages in docs/ point at what is there: other pages, files, rooms and commands."""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ("genfeed", "catalog", "pricing", "jobs", "tests", "docs", "templates", "static", "deploy")
FOR_DEVELOPERS = [ROOT / "docs" / name for name in ("architecture.md", "testing.md")]


def anchors(page: Path) -> set[str]:
    """The addresses of a page's headings, as the usual renderers make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", prose(page))
    broken = []
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w/.-]+)(?:::\w+)?`", prose(page))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_names_every_page() -> None:
    listed = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", (ROOT / "README.md").read_text()))
    assert sorted(page.name for page in (ROOT / "docs").glob("*.md") if page.name not in listed) == []


def test_every_room_stands_on_its_floor_in_the_architecture() -> None:
    told = set(re.findall(r"`([\w/]+)`", (ROOT / "docs" / "architecture.md").read_text()))
    inits = [path for app in ("genfeed", "catalog", "pricing", "jobs") for path in (ROOT / app).glob("*/__init__.py")]
    rooms = {str(path.parent.relative_to(ROOT)) for path in inits}
    plumbing = {room for room in rooms if room.split("/")[1] in ("management", "migrations", "templatetags")}
    assert sorted(rooms - plumbing - told) == []


def commands() -> list[str]:
    blocks = [block for page in FOR_DEVELOPERS for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)]
    inline = [
        one for page in FOR_DEVELOPERS for one in re.findall(r"`((?:make|\.venv/bin/python) [^`]+)`", prose(page))
    ]
    return sorted({line.strip() for line in [*"\n".join(blocks).splitlines(), *inline] if line.strip()})


@pytest.mark.parametrize("command", commands())
def test_every_command_for_developers_works(command: str) -> None:
    """What runs for minutes, or changes the checkout, goes as far as its arguments: make's plan, pytest's list."""
    words = shlex.split(command)
    if words[0] == "make":
        words.insert(1, "--dry-run")
    else:
        assert words[0] == ".venv/bin/python"
        # The database server of `tests.on_postgres` has a test of its own; what it starts is looked at here.
        inner = words[3:] if words[1:3] == ["-m", "tests.on_postgres"] else words
        words = [*inner, "--collect-only", "-q"] if "pytest" in inner else [*inner, "--help"]
    if words[0] != "make":
        words[0] = sys.executable
    done = run(*words)
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Some commands come to the same."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MAKE", "MFLAGS"))}
    return subprocess.run(words, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=120, check=False)
