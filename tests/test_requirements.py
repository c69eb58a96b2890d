"""docs/requirements.md is complete, and every file and test that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "requirements.md"
REQUIREMENTS = ROOT.parent / "shared" / "REQUIREMENTS.md"


def numbered(area: str, *numbers: int) -> list[str]:
    return [f"{area}-{number:02}" for number in numbers]


# What the project claims so far, part by part.
CLAIMED = [
    *numbered("DISC", *range(1, 19)), *numbered("SCHM", *range(1, 17)), *numbered("VALD", 4, 5, 6, 7),
    *numbered("PRIC", *range(1, 14)), *numbered("MARG", *range(1, 7)), *numbered("ENHC", *range(1, 11)),
    *numbered("DUPL", 1, 2, 3), *numbered("COST", *range(1, 7)), *numbered("WFLO", 1, 2, 3),
    *numbered("OPTM", *range(1, 11)), *numbered("REPT", *range(1, 9)), *numbered("IDEM", *range(3, 8)),
    *numbered("BUDG", *range(1, 7)), *numbered("WHOU", 1, 2),
    *numbered("RATE", 3, 7),
    *numbered("CACH", 1, 2, 3, 6), *numbered("APIX", 1, 2, 3, 5, 6), *numbered("ADMN", *range(1, 12)),
    *numbered("PROV", *range(1, 10)), *numbered("CLIX", *range(1, 8)), *numbered("OBSV", 4, 5),
    *numbered("MDIA", *range(1, 11)), *numbered("APIX", 7), *numbered("EVNT", *range(2, 5)),
    *numbered("SECU", 1, 2, 4, 8, 9, 10), *numbered("PERF", *range(1, 6)), *numbered("RELY", 2, 3, 5),
    *numbered("CORE", 1, 2, 4, 5, 6, 7),
    *numbered("APIX", 4, 8), *numbered("JOBS", *range(1, 11)), *numbered("WHIN", *range(1, 5)), *numbered("EVNT", 1),
    *numbered("RATE", 1, 2, 4, 5, 6, 8), *numbered("RTRY", *range(1, 8)), *numbered("ERRR", *range(1, 9)),
    *numbered("BTCH", 1, 2, 3, 4), *numbered("CACH", 4, 5),
    *numbered("CORE", 3),
    *numbered("IDEM", 1, 2), *numbered("VALD", 1, 2, 3), *numbered("SECU", 3, 5, 6, 7), *numbered("OBSV", 1, 2, 3, 6),
    *numbered("TEST", 6),
]  # fmt: skip


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


def test_every_claimed_requirement_has_exactly_one_row() -> None:
    assert sorted(row[0] for row in ROWS) == sorted(CLAIMED)


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
def test_every_claimed_requirement_is_on_the_list() -> None:
    listed = set(re.findall(r"^([A-Z]{4}-\d\d) \|", REQUIREMENTS.read_text(), re.MULTILINE))
    assert sorted(set(CLAIMED) - listed) == []


@pytest.mark.skipif(not REQUIREMENTS.exists(), reason="the list of requirements is not beside this checkout")
@pytest.mark.parametrize(
    "area", ["DISC", "SCHM", "PRIC", "ENHC", "DUPL", "COST", "JOBS", "WHIN", "RTRY", "ERRR", "RATE"]
)
def test_areas_that_are_claimed_as_a_whole_are_whole(area: str) -> None:
    listed = set(re.findall(rf"^({area}-\d\d) \|", REQUIREMENTS.read_text(), re.MULTILINE))
    assert {requirement for requirement in CLAIMED if requirement.startswith(area)} == listed
