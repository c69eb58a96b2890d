"""`make bench` takes long and is run by hand; that it begins at all, and judges as it says, is shown here."""

import importlib
import json
import os
import subprocess
import sys

import pytest

from tests.bench import __main__ as bench
from tests.bench import written
from tests.bench.parts import PARTS, Part
from tests.bench.rows import Row, growing, ratio
from tests.sandbox_server import ROOT


def test_the_measurements_can_be_loaded_without_any_settings() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    names = ", ".join(f"tests.bench.{name}" for name in PARTS)
    done = subprocess.run(
        [sys.executable, "-c", f"import tests.bench.__main__, {names}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", PARTS)
def test_every_part_can_be_measured(name: str) -> None:
    assert callable(importlib.import_module(f"tests.bench.{name}").measure)


def test_a_part_that_fails_is_a_missed_row_and_no_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PARTS, "nowhere", Part("What is not there", 60))

    rows = bench._measure("nowhere", str(tmp_path), 60)

    assert [(row.measured, row.passed) for row in rows] == [("FAILED", False)]
    assert "KeyError: 'nowhere'" in capfd.readouterr().err


def test_an_unknown_part_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["nowhere"])

    assert "there is no part nowhere; parts are peer_lists" in capsys.readouterr().err


def test_when_its_time_is_over_no_part_begins(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--minutes", "0", "ledger"]) == 1

    assert "ledger): not measured, 0 minutes are over" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "passed"),
    [
        (ratio("lists", 200, 2, 100, "requests/s"), True),
        (ratio("lists", 198, 2, 100, "requests/s"), False),
        (ratio("lists", 198, 0, 100, "requests/s"), False),
        (growing("list", {100: 9, 1500: 10, 15000: 13}, "ms", 1.3), True),
        (growing("list", {100: 9, 1500: 10, 15000: 13.1}, "ms", 1.3), False),
        (growing("search", {100: 1, 15000: 100}, "ms"), None),
    ],
)
def test_a_figure_is_held_against_its_bar(row: Row, passed: bool | None) -> None:
    assert row.passed is passed


def test_the_page_shows_every_part_that_was_kept_and_what_it_missed() -> None:
    row = {"what": "  a list", "measured": "3 ms", "bar": "< 2 ms", "passed": False, "values": {}}
    part = {"at": "2026-11-26 05:00 UTC", "load": "0.5", "commit": "abc", "seconds": "9", "rows": [row]}

    page = written.page({"machine": {"processor": "Some, 2 cores"}, "parts": {"ledger": part}})

    assert "- processor: Some, 2 cores" in page
    assert "## The ledger" in page
    assert "| … a list | 3 ms | < 2 ms | **missed** |" in page


def test_the_page_is_that_of_the_figures_beside_it() -> None:
    assert written.PAGE.read_text() == written.page(json.loads(written.DATA.read_text()))
