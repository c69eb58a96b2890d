"""Which files an output holds, in every shape that models use."""

from typing import Any

import pytest

from jobs.assets.finding import MOST_FILES, files_in, safe_name
from tests.pricing.estimates.sold import IMAGES_OUT, VIDEO_OUT

AUDIO_URL_OUT = [{"name": "audio_url", "type": "string", "media": "audio"}]
TEXT_OUT = [{"name": "output", "type": "string"}]


def found(output: Any, outputs: Any = ()) -> list[tuple[str, str]]:
    """Address and promised kind of each file."""
    return [(one.url, one.promised) for one in files_in(output, outputs)]


@pytest.mark.parametrize(
    ("output", "outputs", "expected"),
    [
        ({"images": [{"url": "https://h/a"}, {"url": "https://h/b"}]}, IMAGES_OUT,
         [("https://h/a", "image"), ("https://h/b", "image")]),
        ({"video": {"url": "https://h/v"}}, VIDEO_OUT, [("https://h/v", "video")]),
        ({"audio_url": "https://h/s"}, AUDIO_URL_OUT, [("https://h/s", "audio")]),
        ({"mesh": {"url": "https://h/m", "content_type": "model/gltf-binary"}}, (), [("https://h/m", "")]),
        ({"deep": {"er": [{"files": {"zip": {"url": "https://h/z"}}}]}}, (), [("https://h/z", "")]),
        ({"image_urls": ["https://h/a", "https://h/b"]}, (), [("https://h/a", "file"), ("https://h/b", "file")]),
        ({"image": "data:image/png;base64,AAAA"}, (), [("data:image/png;base64,AAAA", "")]),
        ({"output": "https://example.com is a page"}, TEXT_OUT, []),
        ({"output": "see https://h/a", "n": 3, "none": None}, TEXT_OUT, []),
        ({"images": []}, IMAGES_OUT, []),
        ("https://h/a", (), []),
        (None, (), []),
    ],
)  # fmt: skip
def test_files_are_found_wherever_they_stand(output: Any, outputs: Any, expected: Any) -> None:
    assert found(output, outputs) == expected


def test_a_file_that_stands_twice_is_one_file() -> None:
    (one,) = files_in({"image": {"url": "https://h/a"}, "images": [{"url": "https://h/a"}]}, IMAGES_OUT)

    assert one.places == [("image", "url"), ("images", 0, "url")]
    assert one.promised == "image"


def test_each_image_has_its_own_flag() -> None:
    output = {"images": [{"url": "https://h/a"}, {"url": "https://h/b"}], "has_nsfw_concepts": [False, True]}

    assert [one.is_nsfw for one in files_in(output, IMAGES_OUT)] == [False, True]


def test_one_flag_is_for_all() -> None:
    output = {"images": [{"url": "https://h/a"}, {"url": "https://h/b"}], "nsfw_content_detected": True}

    assert [one.is_nsfw for one in files_in(output, IMAGES_OUT)] == [True, True]


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ({"video": {"url": "https://h/x/my%20film.mp4?token=1"}}, "my_film.mp4"),
        ({"video": {"url": "https://h/x", "file_name": "../../etc/pass wd"}}, "pass_wd"),
        ({"video": {"url": "https://h/", "file_name": None}}, "video"),
        ({"video": {"url": "data:video/mp4;base64,AA"}}, "video"),
    ],
)
def test_names_are_harmless(output: Any, name: str) -> None:
    assert files_in(output, VIDEO_OUT)[0].name == name


@pytest.mark.parametrize("text", ["", "..", "/", "...", "a/..", '"; x="'])
def test_there_is_always_a_name(text: str) -> None:
    name = safe_name(text)

    assert name
    assert not name.startswith(".")
    assert not set(name) & set('/\\"; ')


def test_an_output_of_endless_files_ends() -> None:
    assert len(found({"images": [{"url": f"https://h/{n}"} for n in range(MOST_FILES + 5)]}, IMAGES_OUT)) == MOST_FILES


def test_an_output_as_deep_as_json_may_be_is_no_crash() -> None:
    output: Any = {"url": "https://h/a"}
    for _ in range(900):
        output = {"a": output}

    assert found(output) == []
