"""Quantities found through a model's own schema."""

from decimal import Decimal
from typing import Any

import pytest

from pricing.counting.quantities import measure
from pricing.counting.requests import Field, make_request


def field(name: str, default: Any = None, **more: Any) -> Field:
    return {"name": name, "type": "any", "required": False, "nullable": False, "default": default, **more}


def amount(
    name: str, fields: list[Field], given: dict[str, Any], media: dict[str, Any] | None = None, **more: Any
) -> Any:
    return measure(name, make_request(fields, given, media), **more)


VIDEO = field("video_url", media="video", required=True)
AUDIO = field("audio_url", media="audio", required=True)
IMAGE = field("image_url", media="image", required=True)
SIZE = field("image_size", "landscape_4_3", presets=["square_hd", "landscape_4_3"])


@pytest.mark.parametrize("name", ["num_images", "num_samples", "num_outputs", "num_videos", "number_of_images"])
def test_outputs_are_counted_by_whatever_the_model_calls_them(name: str) -> None:
    assert amount("outputs", [field(name, 1)], {name: 3}).low == 3


def test_the_schema_default_counts_where_nothing_is_given() -> None:
    assert amount("outputs", [field("num_images", 4)], {}).low == 4


def test_a_model_without_a_count_makes_one_output() -> None:
    assert amount("outputs", [], {}).low == 1


@pytest.mark.parametrize(
    ("size", "pixels"),
    [
        ("square_hd", 1024 * 1024),
        ("landscape_16_9", 1024 * 576),
        ({"width": 2000, "height": 1000}, 2_000_000),
        ("1536x1024", 1536 * 1024),
        ("1280*720", 1280 * 720),
    ],
)
def test_sizes_are_read_in_every_notation(size: Any, pixels: int) -> None:
    assert amount("megapixels", [SIZE], {"image_size": size}).low == Decimal(pixels) / 1_000_000


@pytest.mark.parametrize(
    ("resolution", "ratio", "pixels"),
    [
        ("720p", "16:9", 1280 * 720),
        ("720p", "9:16", 1280 * 720),
        ("4k", "16:9", 3840 * 2160),
        ("2K", "1:1", 2048 * 2048),
    ],
)
def test_a_resolution_with_an_aspect_ratio_is_a_size(resolution: str, ratio: str, pixels: int) -> None:
    takes_time = [] if resolution == "2K" else [field("duration", "5")]
    fields = [field("resolution"), field("aspect_ratio", "1:1"), *takes_time]
    given = {"resolution": resolution, "aspect_ratio": ratio}
    assert amount("megapixels", fields, given).low == Decimal(pixels) / 1_000_000


@pytest.mark.parametrize("size", ["auto", None])
def test_a_size_left_open_names_the_field_that_would_settle_it(size: Any) -> None:
    found = amount("megapixels", [SIZE], {"image_size": size})
    assert (found.low, found.missing[0]) == (None, "image_size")


def test_a_size_left_open_follows_the_input_where_its_size_is_told() -> None:
    found = amount("megapixels", [field("image_size"), IMAGE], {}, {"input_images_mp": "1.5"})
    assert found.low == Decimal("1.5")


def test_an_upscaler_multiplies_both_sides() -> None:
    found = amount("megapixels", [IMAGE, field("upscale_factor", 4)], {}, {"input_width": 1000, "input_height": 500})
    assert found.low == 8


def test_another_aspect_ratio_makes_the_output_size_unknown() -> None:
    found = amount("megapixels", [IMAGE, field("aspect_ratio", "16:9")], {}, {"input_images_mp": 1})
    assert found.missing == ("output size",)


def test_a_size_that_must_be_named_does_not_follow_the_input() -> None:
    fields, media = [field("image_size"), IMAGE], {"input_images_mp": "0.26"}
    assert not amount("megapixels", fields, {}, media, named=True).known
    assert amount("megapixels", fields, {"image_size": "square_hd"}, media, named=True, binary=True).low == 1


def test_a_binary_megapixel_has_1024_lines_of_1024_pixels() -> None:
    assert amount("megapixels", [SIZE], {"image_size": "square_hd"}, binary=True).low == 1


@pytest.mark.parametrize(("value", "seconds"), [("5", 5), (5, 5), (6.0, 6), ("8s", 8), ("10 seconds", 10), (2.5, 2.5)])
def test_durations_are_read_in_every_notation(value: Any, seconds: float) -> None:
    assert amount("seconds", [field("duration")], {"duration": value}).low == Decimal(str(seconds))


def test_a_field_in_milliseconds_is_read_in_seconds() -> None:
    assert amount("seconds", [field("music_length_ms")], {"music_length_ms": 90_000}).low == 90


def test_an_automatic_duration_lies_between_its_choices() -> None:
    found = amount("seconds", [field("duration", "auto", enum=["auto", "4s", "8s"])], {})
    assert (found.low, found.high, found.missing) == (4, 8, ("duration",))


def test_frames_are_divided_by_the_models_own_rate() -> None:
    assert amount("seconds", [field("num_frames", 81), field("fps", 27)], {}).low == 3


def test_a_stated_rate_goes_before_the_models_own() -> None:
    found = amount("seconds", [field("num_frames", 81), field("fps", 27)], {}, fps=Decimal(16))
    assert found.low == Decimal("5.0625")


def test_a_switch_that_matches_the_input_hides_the_frame_count() -> None:
    fields = [field("num_frames", 81), field("match_input_num_frames", True), VIDEO]
    assert amount("frames", fields, {}).missing == ("input_frames",)
    assert amount("frames", fields, {}, {"input_frames": 160}).low == 160
    assert amount("frames", fields, {"match_input_num_frames": False}).low == 81


def test_output_follows_the_only_input_with_a_length() -> None:
    assert amount("seconds", [IMAGE, AUDIO], {}, {"input_audio_seconds": 7}).low == 7


def test_audio_and_video_of_different_lengths_leave_the_output_open() -> None:
    found = amount("seconds", [VIDEO, AUDIO], {}, {"input_audio_seconds": 7, "input_video_seconds": 9})
    assert (found.low, found.high, found.missing) == (7, 9, ("output_video_seconds",))


def test_a_voice_sample_says_nothing_about_the_output() -> None:
    sample = field("ref_audio_url", media="audio", required=True)
    assert not amount("seconds", [sample, field("text", required=True)], {}, {"input_audio_seconds": 7}).known


def test_transitions_add_up() -> None:
    parts = field("transitions", items={"name": "", "fields": [field("duration", 5)]})
    given = {"transitions": [{"duration": 4}, {}]}
    assert amount("seconds", [parts], given).low == 9


def test_transitions_left_out_have_their_default_between_each_two_images() -> None:
    parts = field("transitions", items={"name": "", "fields": [field("duration", 5)]})
    assert amount("seconds", [parts, field("image_urls")], {"image_urls": ["a", "b", "c"]}).low == 10


def test_video_megapixels_are_width_times_height_times_frames() -> None:
    fields = [field("video_size", {"width": 1280, "height": 720}), field("num_frames", 121)]
    assert amount("video_megapixels", fields, {}).low == Decimal("111.5136")


def test_video_tokens_follow_the_published_formula() -> None:
    fields = [field("resolution", "1080p"), field("duration", "5"), field("aspect_ratio", "16:9")]
    assert amount("video_tokens", fields, {}).low == 243_000


def test_characters_are_those_of_the_spoken_text() -> None:
    fields = [field("prompt"), field("text", required=True)]
    assert amount("characters", fields, {"text": "hello", "prompt": "in a whisper"}).low == 5


def test_characters_of_all_parts_count() -> None:
    given = {"inputs": [{"text": "abc"}, {"text": "de"}]}
    assert amount("characters", [field("inputs", required=True)], given).low == 5


def test_input_images_are_counted_one_by_one() -> None:
    fields = [field("image_urls", media="image"), field("mask_url", media="image")]
    assert amount("input_images", fields, {"image_urls": ["a", "b"], "mask_url": "c"}).low == 3


def test_unknown_media_facts_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown media fact 'length'"):
        make_request([], {}, {"length": 3})


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "long"])
def test_media_facts_must_be_finite_and_not_negative(value: Any) -> None:
    with pytest.raises(ValueError, match="input_video_seconds"):
        make_request([], {}, {"input_video_seconds": value})
