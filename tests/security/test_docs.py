"""docs/security.md names tests that there are."""

import re
from pathlib import Path

from tests.test_requirements import ROOT, defined_in

DOCUMENT = ROOT / "docs" / "security.md"
PROMISES = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("|") and "::" in line]


def test_every_promise_names_tests_that_there_are() -> None:
    named = {test for line in PROMISES for test in re.findall(r"`(tests/[^`]+::[^`]+)`", line)}
    missing = {
        test for test in named if not Path(ROOT / (file := test.partition("::")[0])).is_file()
        or test.partition("::")[2] not in defined_in(ROOT / file)
    }  # fmt: skip
    assert missing == set()
    assert len(named) > 40


def test_every_promise_is_shown_by_something() -> None:
    lines = DOCUMENT.read_text().partition("## Promises")[2].splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| ---")][1:]
    assert [row for row in rows if not re.search(r"`tests/[^`]+::test_[^`]+`", row)] == []


def test_every_module_of_these_tests_is_named_by_a_promise() -> None:
    own = {path.name for path in (ROOT / "tests/security").glob("test_*.py")} - {"test_docs.py"}
    assert {name for name in own if f"tests/security/{name}::" not in DOCUMENT.read_text()} == set()
