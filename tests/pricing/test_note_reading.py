"""Price texts become rules that speak of the model's own fields, or say what they could not map."""

from decimal import Decimal
from typing import Any

import pytest

from pricing.counting.requests import Field
from pricing.notes.reading import NoteReading, PriceRow, read_note
from pricing.rules.interpreter import evaluate


def field(name: str, default: Any = None, **more: Any) -> Field:
    return {
        "name": name,
        "type": more.pop("type", "string"),
        "required": False,
        "nullable": False,
        "default": default,
        **more,
    }


FIELDS = [
    field("resolution", "720p", enum=["480p", "720p", "1080p", "4k"]),
    field("duration", "5", enum=["5", "8", "10"]),
    field("generate_audio", True, type="boolean"),
    field("num_images", 1, type="integer"),
    field("quality_mode", "fine", enum=["draft", "fine", "best_of_all"]),
    field("enable_web_search", False, type="boolean"),
]
ROW = PriceRow(Decimal("0.10"), "seconds")


def read(text: str, fields: list[Field] = FIELDS, row: PriceRow | None = ROW) -> NoteReading:
    return read_note([text], fields, row)


def cost(text: str, given: dict[str, Any], media: dict[str, Any] | None = None, row: PriceRow | None = ROW) -> str:
    reading = read(text, row=row)
    assert (reading.state, reading.problems) == ("active", [])
    assert reading.rule is not None
    answer = evaluate(reading.rule, given, FIELDS, media, unit_price=row.unit_price if row else None)
    return "unknown" if answer.cost is None else f"{answer.cost.normalize():f}"


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("Your request will cost **$0.05** per video second for **480p**, 0.1$ for 720p.", {}, "0.5"),
        ("480p - $0.08 per second, 720p - $0.15 per second", {"resolution": "480p"}, "0.4"),
        ("Each second costs $0.05 at 480p and $0.20 at 720p.", {}, "1"),
        ("For every second you will be charged $0.20 without audio or $0.40 with audio for 720p or 1080p.", {}, "2"),
        ("You will be charged $0.20 (audio off) or $0.40 (audio on) per second.", {"generate_audio": False}, "1"),
        (
            "For 5s video your request will cost $0.45. For every additional second you will be charged $0.09.",
            {"duration": "8"},
            "0.72",
        ),
        (
            "Your request will cost $0.19 per 5 second video, and a $0.32 per 10 second video.",
            {"duration": "10"},
            "0.32",
        ),
        ("5 second video at 720p costs $0.20. 5 second video at 1080p costs $0.45.", {"resolution": "1080p"}, "0.45"),
        ("5 second video at 720p costs $0.20. 5 second video at 1080p costs $0.45.", {"duration": "10"}, "unknown"),
        ("For 720 p your request would cost 0.1 $ along with a 0.05 $ for every video second.", {}, "0.35"),
        (
            "Your request will cost $0.03 with DRAFT, $0.06 with FINE, and $0.09 with Best of all.",
            {"num_images": 2},
            "0.12",
        ),
        (
            "Your request will cost $0.15 per image. 4K outputs will be charged at double the standard rate.",
            {"resolution": "4k"},
            "0.3",
        ),
        (
            "Your request will cost $0.15 per image. If web search is used, an additional $0.015 will be charged.",
            {"enable_web_search": True, "num_images": 2},
            "0.315",
        ),
        (
            "For a 5s video your request will cost $0.15 for 480p, $0.2 for 720p. For 8-second videos, costs double.",
            {"duration": "8"},
            "0.4",
        ),
        ("Your request will cost $0.10 per second. For $1 you can run this model 2 times.", {}, "0.5"),
        ("Your request will cost $0.10 per second, with a minimum of 7 seconds.", {}, "0.7"),
        ("Your request will cost $0.10 per image, with a minimum charge of $0.25.", {}, "0.25"),
        (
            "Your request will cost $0.50 for the first 5 seconds and $0.08 for every second after that.",
            {"duration": "10"},
            "0.9",
        ),
    ],
)
def test_a_price_text_is_read(text: str, given: dict[str, Any], expected: str) -> None:
    assert cost(text, given) == expected


def test_seconds_are_rounded_as_the_text_says() -> None:
    text = "Your request will cost $0.04 per generated minute, rounded to the nearest 15 seconds."
    assert cost(text, {}, {"output_audio_seconds": 70}) == "0.05"


def test_a_bracket_is_no_base() -> None:
    text = (
        "Your request will cost $0.2 for videos up to 40 seconds. "
        "For longer videos, you will be charged $0.005 per second of output video."
    )
    assert cost(text, {}, {"output_video_seconds": 60}) == "0.3"


def test_a_text_that_only_changes_the_price_starts_from_the_row() -> None:
    assert cost("For 1080p price will be doubled.", {"resolution": "1080p"}) == "1"


def test_cents_are_dollars_where_the_row_says_so() -> None:
    reading = read("Current pricing is 0.10 cents/s of video.")
    assert reading.remarks == ["the text says cents where the row says dollars"]
    assert cost("Current pricing is 0.10 cents/s of video.", {}) == "0.5"


def test_cents_are_cents_where_the_row_does_not_object() -> None:
    assert cost("Current pricing is 0.50 cents/s of video.", {}) == "0.025"


def test_a_lost_zero_is_mended_when_row_and_other_tiers_agree() -> None:
    text = "Your request will cost $0.9 with DRAFT, $0.18 with FINE, and $0.27 with Best of all."
    assert cost(text, {"quality_mode": "draft"}, row=PriceRow(Decimal("0.045"), "images")) == "0.09"


def test_prices_cut_off_are_mended_to_multiples_of_the_row() -> None:
    text = "Your request will cost $0.04 with DRAFT, $0.13 with FINE, and $0.22 with Best of all."
    assert cost(text, {}, row=PriceRow(Decimal("0.045"), "images")) == "0.135"


def test_values_that_the_model_lacks_are_left_out_with_a_remark() -> None:
    reading = read("Your request will cost $0.1 per second for 720p, $0.3 per second for 1440p.")
    assert (reading.state, reading.remarks[0]) == ("active", "the model offers no 1440p")


def test_a_description_changes_the_price_of_its_own_field() -> None:
    fields = [
        *FIELDS,
        field("pro_mode", False, type="boolean", description="Pro mode will cost 2x more billing units."),
    ]
    reading = read_note([None], fields, ROW)
    assert reading.rule is not None
    answer = evaluate(reading.rule, {"pro_mode": True}, fields, unit_price=ROW.unit_price)
    assert answer.cost == Decimal("1.00")


def test_a_description_is_silent_where_the_note_has_spoken() -> None:
    fields = [
        field("resolution", "720p", enum=["480p", "720p"], description="720p generations cost 1.5x more than 480p.")
    ]
    reading = read_note(["$0.10 per second for 480p, $0.30 per second for 720p"], fields, ROW)
    assert reading.rule is not None
    assert "multipliers" not in reading.rule


def test_several_outputs_at_once_cost_what_the_description_says_together() -> None:
    words = "Generating 2 songs costs 1.5x the price of generating 1 song."
    fields = [field("num_songs", 1, type="integer", description=words)]
    row = PriceRow(Decimal("0.075"), "generations")
    rule = read_note([None], fields, row).rule
    assert rule is not None
    costs = [evaluate(rule, {"num_songs": count}, fields, unit_price=row.unit_price).cost for count in (1, 2)]
    assert costs == [Decimal("0.075"), Decimal("0.1125")]


def test_lengths_that_a_row_counts_are_not_counted_twice() -> None:
    words = "The duration of the generated video (9s costs 2x more)"
    fields = [field("duration", "5s", enum=["5s", "9s"], description=words)]
    row = PriceRow(Decimal("0.5"), "5 seconds")
    rule = read_note([None], fields, row).rule
    assert rule is not None
    assert evaluate(rule, {"duration": "9s"}, fields, unit_price=row.unit_price).cost == Decimal("1.0")


def test_an_extra_that_nobody_quantifies_leaves_no_estimate() -> None:
    words = "Increases generation times and price when set to be true."
    fields = [*FIELDS, field("use_real_cfg", False, type="boolean", description=words)]
    rule = read_note([None], fields, ROW).rule
    assert rule is not None
    assert evaluate(rule, {"use_real_cfg": True}, fields, unit_price=ROW.unit_price).missing == ("use_real_cfg",)


def test_examples_of_the_text_are_tried() -> None:
    reading = read("Your request will cost $0.10 per second. For example, a 5s video will cost $0.50.")
    assert [(example.expected, example.reproduced) for example in reading.examples] == [("0.5", True)]


def test_an_example_that_contradicts_the_rates_keeps_the_rule_proposed() -> None:
    reading = read("Your request will cost $0.20 per second. For example, a 5s video will cost $0.50.")
    assert reading.state == "proposed"
    assert "example not reproduced" in reading.problems[0]


def test_an_example_is_outweighed_where_the_row_confirms_the_rates() -> None:
    reading = read("Your request will cost $0.10 per second. For example, a 5s video will cost $0.90.")
    assert reading.state == "active"
    assert "example not reproduced" in reading.remarks[0]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("Your request will cost $0.0013 per compute second.", "compute seconds"),
        ("Your request will cost $0.4 per million input tokens, and $3.5 per million output tokens.", "output tokens"),
    ],
)
def test_what_no_request_tells_puts_its_unit_in_place_of_the_rows(text: str, unit: str) -> None:
    reading = read(text)
    assert (reading.rule, reading.billed_in) == (None, unit)


def test_a_row_that_is_none_of_the_texts_prices_is_pointed_out_and_does_not_block() -> None:
    reading = read("Your request will cost $0.30 per second for 720p and $0.50 per second for 1080p.")
    assert (reading.state, reading.contradicts_row) == ("active", True)
    assert not read("Your request will cost $0.10 per second.").contradicts_row


def test_no_texts_make_no_rule() -> None:
    reading = read_note([None, ""], FIELDS, ROW)
    assert (reading.rule, reading.problems) == (None, [])


@pytest.mark.parametrize(("units", "state"), [("2", "active"), ("4", "proposed")])
def test_a_note_and_a_description_that_disagree_leave_the_rule_proposed(units: str, state: str) -> None:
    words = f"Billed by size: 480p is 1 unit per second and 720p is {units} units per second."
    fields = [field("resolution", "480p", enum=["480p", "720p"], description=words), field("duration", "5")]
    reading = read("Your request will cost $0.20 per second for 720p, $0.10 per second for 480p.", fields)
    assert reading.state == state
    assert ["720p 2 times as dear" in problem for problem in reading.problems] == [True] * (state == "proposed")
