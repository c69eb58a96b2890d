"""docs/requirements.md is complete, and every file and test that it names exists."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "requirements.md"
REQUIREMENTS = ROOT.parent / "shared" / "REQUIREMENTS.md"


def table() -> list[list[str]]:
    """The cells of each row, without head and rule."""
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def defined_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


ROWS = table()


def test_no_requirement_has_two_rows() -> None:
    assert [one for one, times in Counter(row[0] for row in ROWS).items() if times > 1] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_is_filled(row: list[str]) -> None:
    assert len(row) == 4
    assert all(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_files_of_a_row_exist(row: list[str]) -> None:
    files = named(row[2])
    assert files
    assert [path for path in files if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_tests_of_a_row_exist(row: list[str]) -> None:
    tests = [test.partition("::") for test in named(row[3])]
    assert tests
    missing = [
        f"{path}::{name}"
        for path, _, name in tests
        if not name.startswith("test_") or not (ROOT / path).is_file() or name not in defined_in(ROOT / path)
    ]
    assert missing == []


@pytest.mark.skipif(not REQUIREMENTS.exists(), reason="the list of requirements is not beside this checkout")
def test_every_requirement_of_the_list_is_claimed() -> None:
    listed = set(re.findall(r"^([A-Z]{4}-\d\d) \|", REQUIREMENTS.read_text(), re.MULTILINE))
    assert {row[0] for row in ROWS} == listed
