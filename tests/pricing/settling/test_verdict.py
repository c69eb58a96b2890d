"""Which bills can be right: the bounds exactly, units by meaning, and where a small bill says nothing."""

import pytest

from pricing.settling.verdict import judge


@pytest.mark.parametrize(
    ("quoted", "billed", "reason"),
    [
        (100, 100, ""), (100, 1000, ""), (100, 1001, "too_high"), (100, 10, ""), (100, 9, "too_low"),
        (0, 0, ""), (0, 1, "too_high"), (100, 0, "too_low"), (None, 10**12, ""),
    ],
)  # fmt: skip
def test_a_bill_over_ten_times_or_under_a_tenth_of_the_quote_waits(
    quoted: int | None, billed: int, reason: str
) -> None:
    assert judge(quoted, ["images"], billed).reason == reason


@pytest.mark.parametrize(
    ("quoted", "billed", "reason"),
    [
        (["seconds"], "seconds", ""), (["images"], "image", ""), (["Seconds "], " seconds", ""),
        (["seconds"], "megapixels", "other_unit"), (["images", "megapixels"], "megapixels", ""),
        (["seconds"], "", ""), ([], "seconds", ""), ([""], "seconds", ""),
    ],
)  # fmt: skip
def test_a_bill_in_another_unit_waits(quoted: list[str], billed: str, reason: str) -> None:
    assert judge(100, quoted, 100, billed).reason == reason


def test_a_small_bill_for_what_was_only_bounded_is_right() -> None:
    assert judge(100, [], 0, may_be_less=True).reason == ""
    assert judge(100, [], 1001, may_be_less=True).reason == "too_high"


def test_the_words_name_both_amounts() -> None:
    assert judge(10_000_000, [], 1_000_000_000).words == ("more than 10 times the quote: billed 1 USD, quoted 0.01 USD")
