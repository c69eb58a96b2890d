"""Unit strings: an open set, normalised, never guessed."""

from decimal import Decimal

import pytest

from pricing.counting.units import is_derivable, normalise_unit, unit_meaning
from tests.pricing.recorded_prices import recorded
from tests.recorded import requires_recorded


def test_units_are_compared_without_case_and_stray_spaces() -> None:
    assert normalise_unit(" 1000  Characters ") == "1000 characters"


@pytest.mark.parametrize("unit", ["compute seconds", "units", "credits", "", "video segments", " Units "])
def test_opaque_units_are_known_and_never_derivable(unit: str) -> None:
    assert unit_meaning(unit) is not None
    assert not is_derivable(unit)


@pytest.mark.parametrize("unit", ["gigabytes", "parsecs", "0 seconds ago", "second seconds"])
def test_units_that_were_never_seen_are_not_understood(unit: str) -> None:
    assert unit_meaning(unit) is None
    assert not is_derivable(unit)


@pytest.mark.parametrize(
    ("unit", "block", "rounds_up"),
    [("5 seconds", 5, True), ("30 seconds", 30, True), ("16 frames", 16, False), ("1m tokens", 1_000_000, False)],
)
def test_blocks_are_read_from_the_unit_itself(unit: str, block: int, rounds_up: bool) -> None:
    meaning = unit_meaning(unit)
    assert meaning is not None
    assert (meaning.block, meaning.rounds_up) == (Decimal(block), rounds_up)


@requires_recorded
def test_every_recorded_unit_is_in_the_table() -> None:
    units = {row["price"]["unit"] for row in recorded().values() if row["price"]}
    assert {unit for unit in units if unit_meaning(unit) is None} == set()
