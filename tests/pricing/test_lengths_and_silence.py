"""Lengths that a schema tells in its own words, and choices that neither row nor text speaks of."""

from decimal import Decimal
from typing import Any

import pytest

from pricing.counting.quantities import measure
from pricing.counting.requests import Field, make_request
from pricing.estimates.costs import Estimate, History, estimate_cost
from pricing.notes.reading import NoteReading, PriceRow, read_note

SEGMENTS = "How many segments. The first segment is ~6s, additional segments are 4s each."


def field(name: str, default: Any = None, **more: Any) -> Field:
    return {
        "name": name,
        "type": more.pop("type", "string"),
        "required": False,
        "nullable": False,
        "default": default,
        **more,
    }


AUDIO = field("audio_url", media="audio", required=True)
CLIPS = field("num_segments", 1, type="integer", description=SEGMENTS)
SOUND = field("generate_audio", True, type="boolean")
QUALITY = field("quality", "fine", enum=["fast", "fine"])
SPEED = field("rendering_speed", "FINE", enum=["FAST", "FINE"])


def seconds(fields: list[Field], given: dict[str, Any], media: dict[str, Any] | None = None) -> Any:
    return measure("seconds", make_request(fields, given, media))


def by_row(fields: list[Field], given: dict[str, Any]) -> Estimate:
    return estimate_cost(unit="images", unit_price=Decimal("0.10"), rule=None, inputs=fields, input=given)


def read(text: str, fields: list[Field], row: PriceRow | None = None) -> NoteReading:
    return read_note([text], fields, row)


def by_text(text: str, fields: list[Field], given: dict[str, Any], media: dict[str, Any] | None = None) -> Estimate:
    reading = read(text, fields)
    assert (reading.state, reading.problems) == ("active", [])
    return estimate_cost(unit="units", unit_price=None, rule=reading.rule, inputs=fields, input=given, media=media)


def test_segments_of_a_told_length_make_the_output() -> None:
    found = seconds([AUDIO, CLIPS], {"audio_url": "a", "num_segments": 3})
    assert (found.low, found.high, found.assumed) == (14, 14, True)


def test_segments_and_an_input_of_another_length_settle_nothing() -> None:
    found = seconds([AUDIO, CLIPS], {"audio_url": "a"}, {"input_audio_seconds": 20})
    assert (found.known, found.missing) == (False, ("output_video_seconds",))


def test_a_number_of_segments_without_their_length_tells_no_length() -> None:
    bare = field("num_segments", 2, type="integer", description="How many segments to make.")
    assert seconds([AUDIO, bare], {"audio_url": "a"}).missing == ("input_audio_seconds",)


def test_what_is_added_before_and_after_an_input_is_counted_with_it() -> None:
    fields = [
        AUDIO,
        field("extend_before_duration", 0, type="number"),
        field("extend_after_duration", 30, type="number"),
    ]
    given = {"audio_url": "a", "extend_before_duration": 5}
    assert seconds(fields, given, {"input_audio_seconds": 10}).low == 45
    assert seconds(fields, given).missing == ("input_audio_seconds",)


@pytest.mark.parametrize(("between", "assumed"), [(0, False), (1, True)])
def test_frames_put_between_others_are_left_out_by_assumption(between: int, assumed: bool) -> None:
    fields = [field("num_frames", 80, type="integer"), field("num_interpolated_frames", between, type="integer")]
    found = measure("seconds", make_request(fields, {}), fps=Decimal(16))
    assert (found.low, found.assumed) == (5, assumed)


def test_a_length_that_nothing_tells_is_settled_by_either_fact() -> None:
    text = [field("text", required=True)]
    assert seconds(text, {"text": "hello"}).missing == ("output_audio_seconds or output_video_seconds",)
    assert seconds(text, {"text": "hello"}, {"output_audio_seconds": 4}).low == 4


def test_outputs_of_a_model_whose_schema_is_not_known_are_those_asked_for() -> None:
    found = by_row([], {"num_images": 3})
    assert (found.cost, found.confidence) == (Decimal("0.30"), "derived")
    assert by_row([], {}).confidence == "derived"


def test_a_price_by_begun_seconds_is_no_price_of_one_block_where_the_schema_is_not_known() -> None:
    found = estimate_cost(unit="5 seconds", unit_price=Decimal("0.10"), rule=None, inputs=[], input={})
    assert (found.cost, found.confidence) == (None, "unknown")


@pytest.mark.parametrize("choice", [QUALITY, SOUND, field("resolution", "720p", enum=["480p", "720p"])])
def test_the_default_of_a_choice_nobody_speaks_of_is_derived(choice: Field) -> None:
    assert by_row([choice], {}).confidence == "derived"


def test_another_value_of_a_choice_nobody_speaks_of_is_only_bounded() -> None:
    found = by_row([QUALITY], {"quality": "fast"})
    assert (found.confidence, found.low, found.high) == ("bounded", Decimal("0.05"), Decimal("0.40"))
    assert found.missing == ("price of quality",)


def test_naming_the_default_is_not_moving_from_it() -> None:
    assert by_row([QUALITY], {"quality": "fine"}).confidence == "derived"


@pytest.mark.parametrize("dear", [SPEED, field("resolution", "1080p", enum=["720p", "1080p"])])
def test_a_default_that_is_a_dear_choice_is_only_bounded_by_the_row(dear: Field) -> None:
    assert by_row([dear], {}).confidence == "bounded"


def test_the_smallest_resolution_as_default_is_what_the_row_prices() -> None:
    assert by_row([field("resolution", "1080p", enum=["1080p", "1440p"])], {}).confidence == "derived"


def test_a_resolution_that_is_counted_is_not_a_choice_apart() -> None:
    size = field("resolution", "720p", enum=["480p", "720p", "1080p"])
    fields = [size, field("duration", "5", enum=["5", "10"])]
    found = estimate_cost(
        unit="1m tokens", unit_price=Decimal(2), rule=None, inputs=fields, input={"resolution": "1080p"}
    )
    assert (found.cost, found.confidence) == (Decimal("0.486"), "exact")


def test_context_frames_that_nobody_speaks_of_leave_a_range() -> None:
    fields = [
        field("video_url", media="video", required=True),
        field("num_frames", 100, type="integer"),
        field("num_context_frames", 20, type="integer"),
    ]
    media = {"input_width": 1000, "input_height": 1000}
    found = estimate_cost(
        unit="megapixels", unit_price=Decimal("0.01"), rule=None, inputs=fields, input={"video_url": "v"}, media=media
    )
    assert (found.confidence, found.low, found.high) == ("unknown", 1, Decimal("1.2"))


def test_what_jobs_have_cost_outranks_a_bound_by_the_row() -> None:
    history = History(Decimal("0.25"), None, None, "median of 6 jobs")
    found = estimate_cost(
        unit="images", unit_price=Decimal("0.10"), rule=None, inputs=[SPEED], input={}, history=history
    )
    assert (found.confidence, found.cost) == ("historical", Decimal("0.25"))


def test_sound_that_is_switched_off_makes_nothing_dearer() -> None:
    found = by_row([SOUND], {"generate_audio": False})
    assert (found.confidence, found.high) == ("bounded", Decimal("0.10"))


def test_a_switch_whose_description_names_credits_counts_as_a_choice() -> None:
    textured = field("textured", True, type="boolean", description="Textures for 10 additional credits.")
    assert by_row([textured], {"textured": False}).confidence == "bounded"


def test_the_quality_of_an_encoding_changes_no_price() -> None:
    encoding = field("video_quality", "high", enum=["low", "high"])
    assert by_row([encoding], {"video_quality": "low"}).confidence == "exact"


def test_a_rule_that_rests_on_the_row_is_as_silent_as_the_row() -> None:
    fields = [
        field("resolution", "720p", enum=["480p", "720p"]),
        field("pro_mode", False, type="boolean", description="Better, will cost 2x more billing units."),
    ]
    row = PriceRow(Decimal("0.40"), "videos")
    rule = read("", fields, row).rule

    def ask(given: dict[str, Any]) -> Estimate:
        return estimate_cost(unit=row.unit, unit_price=row.unit_price, rule=rule, inputs=fields, input=given)

    assert (ask({"pro_mode": True}).cost, ask({"pro_mode": True}).confidence) == (Decimal("0.80"), "derived")
    assert ask({"resolution": "480p"}).confidence == "bounded"


def test_characters_of_a_named_text_are_those_of_its_own_field() -> None:
    fields = [field("prompt", required=True), field("preview_text", required=True)]
    answer = by_text(
        "It will cost $1 per created voice, with 0.05 per 1000 preview characters",
        fields,
        {"prompt": "a deep voice", "preview_text": "x" * 400},
    )
    assert (answer.cost, answer.confidence) == (Decimal("1.02"), "exact")


def test_characters_of_a_text_that_the_model_lacks_leave_the_rule_proposed() -> None:
    reading = read("$1 per request, with 0.05 per 1000 preview characters", [field("prompt", required=True)])
    assert (reading.state, reading.problems) == ("proposed", ["no field carries the preview text"])


@pytest.mark.parametrize(("frames", "cost"), [(100, "1.5"), (101, None)])
def test_the_price_of_one_length_says_nothing_of_longer_ones(frames: int, cost: str | None) -> None:
    answer = by_text(
        "For 4s video your request will cost $1.50.",
        [field("num_frames", 100, type="integer")],
        {"num_frames": frames},
    )
    assert answer.cost == (None if cost is None else Decimal(cost))


@pytest.mark.parametrize(
    ("given", "media", "cost"),
    [
        ({}, {}, "0.10"),
        ({}, {"input_fps": 60}, "0.20"),
        ({"target_fps": 60}, {"input_fps": 24}, "0.20"),
        ({"target_fps": 30}, {"input_fps": 60}, "0.10"),
    ],
)
def test_a_rate_of_frames_that_is_kept_costs_like_one_that_is_asked_for(
    given: dict[str, Any], media: dict[str, Any], cost: str
) -> None:
    fields = [field("video_url", media="video", required=True), field("target_fps", type="integer")]
    text = "Your request will cost $0.01 per second. Price doubles for 60fps output."
    answer = by_text(text, fields, {"video_url": "v", **given}, {"input_video_seconds": 10, **media})
    assert answer.cost == Decimal(cost)


def test_a_word_in_common_with_a_field_is_not_enough_to_be_about_it() -> None:
    fields = [field("video", media="video"), field("num_images", 1, type="integer")]
    reading = read("Your request will cost $0.10 per image. Videos with more than two people cost 3x.", fields)
    assert (reading.state, reading.rule and "multipliers" in reading.rule) == ("proposed", False)


def test_a_part_that_raises_the_price_makes_the_whole_uncertain() -> None:
    part = field("in_context", False, type="boolean", description="Fills more faithfully. Will increase price.")
    filler = field("fill", type="object", fields=[part])
    fields, row = [filler], PriceRow(Decimal("0.10"), "images")
    rule = read("", fields, row).rule
    for given, cost in (({}, Decimal("0.10")), ({"fill": {"in_context": True}}, None)):
        answer = estimate_cost(unit=row.unit, unit_price=row.unit_price, rule=rule, inputs=fields, input=given)
        assert answer.cost == cost
