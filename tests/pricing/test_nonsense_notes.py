"""Texts that are not understood wholly never become active rules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.notes.reading import read_note
from tests.pricing.test_note_reading import FIELDS, ROW


@pytest.mark.parametrize(
    "text",
    [
        "lorem ipsum $3 dolor 4k sit amet",
        "Free until June.",
        "$0.00 per image",
        "€0.05 per image",
        "Your request will not cost $0.05 per image.",
        "Your request will cost $0.10 per gigabyte.",
        "Your request will cost up to $0.08 per image.",
        "Prices start at $0.04 per image.",
        "Your request will cost $0.04 to $0.08 per image.",
        "Your request will cost $0.10 per second. Discounts of 20% apply at night.",
        "Your request will cost $0.10 per second. Prices above 1080p are doubled.",
        "Your request will cost $0.10 per second for text-to-video and $0.20 per second for video-to-video.",
        "Your request will cost $0.05 per 1,000 characters, minimum 100 characters.",
        "Enabling telepathy will double the billed seconds.",
    ],
)
def test_what_is_not_understood_stays_proposed(text: str) -> None:
    reading = read_note([text], FIELDS, ROW)
    assert reading.state == "proposed"
    assert reading.problems


def test_what_was_not_understood_is_quoted() -> None:
    reading = read_note(["Your request will cost $0.10 per second. Discounts of 20% apply at night."], FIELDS, ROW)
    assert "discounts" in reading.problems[0]


@settings(max_examples=300)
@given(st.text(max_size=200))
def test_any_text_is_read_without_harm(text: str) -> None:
    reading = read_note([text], FIELDS, ROW)
    assert reading.state in ("active", "proposed")


PHRASES = [
    "$0.05",
    "$3",
    "0.1$",
    "per second",
    "image",
    "480p",
    "720p",
    "4k",
    "5s",
    "with",
    "without",
    "audio",
    "and",
    ",",
]
ODD_ONES = [".", "or", "for", "double", "adds", "minimum", "2x", "up to", "rounded up", "first", "each", "(", ")", "%"]
words = st.sampled_from([*PHRASES, *ODD_ONES])


@settings(max_examples=300)
@given(st.lists(words, max_size=25))
def test_shuffled_words_of_prices_are_read_without_harm(parts: list[str]) -> None:
    read_note([" ".join(parts)], FIELDS, ROW)


def test_of_an_endless_text_the_rest_is_said_to_be_unread() -> None:
    reading = read_note(["Your request will cost $0.10 per second. " + "\n" * 5_000 + "Nights cost more."], FIELDS, ROW)
    assert reading.state == "proposed"
    assert any("longer than 4000 characters" in problem for problem in reading.problems)
