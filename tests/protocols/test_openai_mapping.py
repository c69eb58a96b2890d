"""OpenAI's parameters in the fields of models: found by what fields are, never by which model it is."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from genfeed.clients.errors import ApiError
from jobs.protocols.openai import files
from jobs.protocols.openai.mapping import Fitted, fit
from tests.pricing.estimates.sold import IMAGE_URL, NUM_IMAGES, PROMPT, field

SIDES = [field("width", "integer"), field("height", "integer")]
PRESETS = ["square_hd", "portrait_4_3", "landscape_16_9"]
IMAGE_SIZE = field("image_size", "object", presets=PRESETS, fields=SIDES)
SIZE_WORDS = field("image_size", enum=["auto", "1024x1024", "1536x1024"])
RATIO = field("aspect_ratio", enum=["auto", "16:9", "9:16", "1:1", "3:2"])
LINES = field("resolution", enum=["720p", "1080p", "4k"])
WORDS = field("resolution", enum=["1K", "2K", "4K"])
QUALITY = field("quality", enum=["low", "medium", "high"])
FORMAT = field("output_format", enum=["jpeg", "png"])
MASK = field("mask_url", media="image")
MANY = field("image_urls", "array", media="image", items=field("image_urls", media="image"))


def fitted(inputs: list[Any], **params: Any) -> dict[str, Any]:
    return fit(inputs, params).input


def refusal(inputs: list[Any], **params: Any) -> tuple[str, str]:
    """Which parameter is refused, and the words."""
    with pytest.raises(ApiError) as caught:
        fit(inputs, params)
    assert caught.value.code == "invalid_request"
    return caught.value.details["param"], caught.value.message


@pytest.mark.parametrize(
    ("inputs", "size", "asked"),
    [
        ([IMAGE_SIZE], "1024x1024", {"image_size": "square_hd"}),
        ([IMAGE_SIZE], "1536x864", {"image_size": {"width": 1536, "height": 864}}),
        ([SIZE_WORDS], "1536x1024", {"image_size": "1536x1024"}),
        ([field("size", default="512*512")], "640x480", {"size": "640x480"}),
        (SIDES, "640x480", {"width": 640, "height": 480}),
        ([RATIO], "1024x1024", {"aspect_ratio": "1:1"}),
        ([RATIO], "1792x1024", {"aspect_ratio": "16:9"}),
        ([field("aspect_ratio")], "1536x1024", {"aspect_ratio": "3:2"}),
        ([RATIO, LINES], "1280x720", {"aspect_ratio": "16:9", "resolution": "720p"}),
        ([RATIO, LINES], "1024x1792", {"aspect_ratio": "9:16", "resolution": "1080p"}),
        ([RATIO, LINES], "3840x2160", {"aspect_ratio": "16:9", "resolution": "4k"}),
        ([RATIO, WORDS], "1536x1024", {"aspect_ratio": "3:2", "resolution": "1K"}),
        ([RATIO, WORDS], "2048x2048", {"aspect_ratio": "1:1", "resolution": "2K"}),
        ([IMAGE_URL, LINES], "1280x720", {"resolution": "720p"}),
        ([field("resolution", enum=["1024x1024", "2048x2048"])], "2048x2048", {"resolution": "2048x2048"}),
        ([PROMPT], "auto", {}),
    ],
)
def test_a_size_is_said_in_the_fields_that_there_are(inputs: list[Any], size: str, asked: dict[str, Any]) -> None:
    assert fitted(inputs, size=size) == asked


@pytest.mark.parametrize(
    ("inputs", "size", "words"),
    [
        ([PROMPT], "1024x1024", "no field for a size"),
        ([SIZE_WORDS], "1000x1000", "can be auto, 1024x1024, 1536x1024"),
        ([RATIO], "2000x1000", "can be auto, 16:9"),
        ([RATIO, LINES], "640x360", "can be 720p, 1080p, 4k"),
        ([LINES], "1280x720", "no field for a size"),
        ([IMAGE_SIZE], "large", "is no size"),
        ([IMAGE_SIZE], "00x00", "is no size"),
    ],
)
def test_a_size_that_no_field_can_say_is_refused_by_name(inputs: list[Any], size: str, words: str) -> None:
    param, message = refusal(inputs, size=size)

    assert param == "size"
    assert words in message


@pytest.mark.parametrize(
    ("inputs", "params", "asked"),
    [
        ([PROMPT], {"prompt": "a fox"}, {"prompt": "a fox"}),
        ([field("text")], {"prompt": "a fox"}, {"text": "a fox"}),
        ([NUM_IMAGES], {"n": 3}, {"num_images": 3}),
        ([field("num_videos", enum=["1", "2"])], {"n": "2"}, {"num_videos": "2"}),
        ([PROMPT], {"n": 1}, {}),
        ([QUALITY], {"quality": "high"}, {"quality": "high"}),
        ([QUALITY], {"quality": "hd"}, {"quality": "high"}),
        ([QUALITY], {"quality": "standard"}, {"quality": "medium"}),
        ([PROMPT], {"quality": "standard"}, {}),
        ([PROMPT], {"quality": "auto", "background": "auto", "moderation": "auto"}, {}),
        ([FORMAT], {"output_format": "png"}, {"output_format": "png"}),
        ([field("format", enum=["jpg"])], {"output_format": "jpeg"}, {"format": "jpg"}),
        ([field("seed", "integer")], {"seed": "7"}, {"seed": 7}),
        ([field("seed", "integer")], {"seed": 7}, {"seed": 7}),
        ([field("name")], {"name": "7"}, {"name": "7"}),
        ([field("loud", "boolean")], {"loud": "true"}, {"loud": True}),
        ([field("duration", enum=["4s", "8s"])], {"seconds": "8"}, {"duration": "8s"}),
        ([field("duration", enum=["auto", "5", "10"])], {"seconds": 5}, {"duration": "5"}),
        ([field("duration", "integer", default=5)], {"seconds": "8"}, {"duration": 8}),
        ([field("duration", default="5s")], {"seconds": "8"}, {"duration": "8s"}),
        ([field("duration_ms", "integer")], {"seconds": "8"}, {"duration_ms": 8000}),
    ],
)
def test_a_parameter_goes_where_its_meaning_is(
    inputs: list[Any], params: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert fitted(inputs, **params) == asked


@pytest.mark.parametrize(
    ("inputs", "params"),
    [
        ([], {"prompt": "a fox"}),
        ([PROMPT], {"n": 2}),
        ([NUM_IMAGES], {"n": "many"}),
        ([NUM_IMAGES], {"n": True}),
        ([PROMPT], {"quality": "hd"}),
        ([QUALITY], {"quality": "best"}),
        ([PROMPT], {"output_format": "png"}),
        ([FORMAT], {"output_format": "webp"}),
        ([PROMPT], {"style": "vivid"}),
        ([PROMPT], {"background": "transparent"}),
        ([PROMPT], {"output_compression": 50}),
        ([PROMPT], {"partial_images": 2}),
        ([PROMPT], {"seconds": "8"}),
        ([field("duration", enum=["4s", "8s"])], {"seconds": "5"}),
        ([field("duration", "integer")], {"seconds": "long"}),
    ],
)
def test_what_no_field_can_take_is_refused_by_name(inputs: list[Any], params: dict[str, Any]) -> None:
    assert refusal(inputs, **params)[0] == next(iter(params))


def test_two_words_for_one_field_are_refused() -> None:
    assert refusal([NUM_IMAGES], n=2, num_images=3) == ("num_images", "num_images: n says the same.")


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[SimpleUploadedFile]:
    """What was kept as an upload, instead of being kept."""
    kept: list[SimpleUploadedFile] = []

    def keep(_into: Fitted, file: SimpleUploadedFile, _client_id: int) -> str:
        kept.append(file)
        return f"asset:{len(kept)}"

    monkeypatch.setattr(files, "_stored", keep)
    return kept


@pytest.mark.parametrize(
    ("inputs", "count", "asked"),
    [
        ([MASK, IMAGE_URL], 1, {"image_url": "asset:1"}),
        ([MANY], 1, {"image_urls": ["asset:1"]}),
        ([field("image_url", media="image"), MANY], 1, {"image_url": "asset:1"}),
        ([IMAGE_URL, MANY], 2, {"image_urls": ["asset:1", "asset:2"]}),
        (
            [field(name, media="image") for name in ("end_image_url", "style_image_url", "first_frame_url")],
            1,
            {"first_frame_url": "asset:1"},
        ),
    ],
)  # fmt: skip
def test_images_go_where_the_model_takes_them(
    stored: list[SimpleUploadedFile], inputs: list[Any], count: int, asked: dict[str, Any]
) -> None:
    into = Fitted({one["name"]: one for one in inputs})

    files.put_images(into, "image", [SimpleUploadedFile(f"{n}.png", b"x") for n in range(count)], 1)

    assert into.input == asked


@pytest.mark.parametrize(("inputs", "count", "words"), [([PROMPT], 1, "no image"), ([IMAGE_URL], 2, "one image")])
def test_images_that_the_model_does_not_take_are_refused(
    stored: list[SimpleUploadedFile], inputs: list[Any], count: int, words: str
) -> None:
    into = Fitted({one["name"]: one for one in inputs})

    with pytest.raises(ApiError, match=words):
        files.put_images(into, "image", [SimpleUploadedFile("a.png", b"x")] * count, 1)

    assert stored == []


def test_a_mask_without_a_place_is_refused(stored: list[SimpleUploadedFile]) -> None:
    with pytest.raises(ApiError, match="takes no mask"):
        files.put_mask(Fitted({"image_url": IMAGE_URL}), "mask", SimpleUploadedFile("m.png", b"x"), 1)


def test_a_mask_of_black_and_white_goes_as_it_came(stored: list[SimpleUploadedFile]) -> None:
    into = Fitted({"mask_url": MASK})

    files.put_mask(into, "mask", SimpleUploadedFile("m.jpg", b"no png"), 1)

    assert into.input == {"mask_url": "asset:1"}
    assert stored[0].read() == b"no png"
