"""Looking at input files: facts from their headers, within a budget, and nothing that a stranger could misuse."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import Client as HttpClient

from genfeed.net.addresses import resolve
from pricing.estimates import probing
from pricing.estimates.probing import Budget, Probed, probe
from tests.media.files import mp4, png, wav
from tests.net.servers import Answer, Served, in_ranges, serving, whole
from tests.pricing.estimates.sold import (
    AUDIO_URL,
    IMAGE_URL,
    PROMPT,
    VIDEO_URL,
    Field,
    facts_about,
    field,
    make_sold,
    post,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]

IMAGES = field("image_urls", "array", required=True, media="image", items={"type": "string"})


@contextmanager
def files(settings: Any, answer: Answer) -> Iterator[Served]:
    with serving(answer) as served:
        settings.SSRF_ALLOW = [served.pair]
        yield served


def look(inputs: list[Field], given: dict[str, Any], told: dict[str, Any] | None = None) -> Probed:
    return probe(facts_about(make_sold("fal-ai/any", inputs=inputs)), given, told, Budget.start())


@pytest.mark.parametrize("serve", [whole, in_ranges])
def test_a_video_tells_its_length_size_and_rate(settings: Any, serve: Any) -> None:
    with files(settings, serve(mp4(width=1280, height=720, frames=120, fps=24, header_last=True))) as served:
        found = look([VIDEO_URL], {"video_url": served.url()})

    assert found.media == {
        "input_video_seconds": "5",
        "input_width": "1280",
        "input_height": "720",
        "input_frames": "120",
        "input_fps": "24",
    }
    assert found.problems == []


def test_a_sound_tells_its_length(settings: Any) -> None:
    with files(settings, whole(wav(2.5))) as served:
        assert look([AUDIO_URL], {"audio_url": served.url()}).media == {"input_audio_seconds": "2.5"}


def test_images_tell_their_size_together(settings: Any) -> None:
    with files(settings, whole(png(1000, 500))) as served:
        found = look([IMAGES], {"image_urls": [served.url("/a"), served.url("/b")]})

    assert found.media == {"input_images_mp": "1", "input_width": "1000", "input_height": "500"}


def test_one_image_that_can_not_be_read_leaves_the_size_of_all_unknown(settings: Any) -> None:
    inline = "data:image/png;base64," + base64.b64encode(png(10, 10)).decode()
    with files(settings, whole(b"no image")) as served:
        found = look([IMAGES], {"image_urls": [inline, served.url()]})

    assert found.media == {}
    assert found.problems == ["image_urls: not an image that can be read"]


def test_a_data_uri_needs_no_network() -> None:
    inline = "data:image/png;base64," + base64.b64encode(png(640, 480)).decode()

    assert look([IMAGE_URL], {"image_url": inline}).media["input_width"] == "640"


@pytest.mark.parametrize(
    "uri", ["data:image/png;base64,!!!", "data:image/png,abc", "data:", "data:;base64," + "A" * 2_000_000]
)
def test_a_senseless_data_uri_is_a_problem_in_words(uri: str) -> None:
    found = look([IMAGE_URL], {"image_url": uri})

    assert found.media == {}
    assert len(found.problems) == 1


def test_facts_that_are_told_win(settings: Any) -> None:
    with files(settings, whole(wav(2.5))) as served:
        found = look([AUDIO_URL], {"audio_url": served.url()}, {"input_audio_seconds": 60})

    assert found.media == {"input_audio_seconds": 60}


def test_a_fact_that_is_told_as_unknown_is_looked_up(settings: Any) -> None:
    with files(settings, whole(wav(2.5))) as served:
        found = look([AUDIO_URL], {"audio_url": served.url()}, {"input_audio_seconds": None})

    assert found.media == {"input_audio_seconds": "2.5"}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.mp4", "http://localhost/a.mp4", "http://[::1]/a.mp4", "http://169.254.169.254/latest/meta-data",
        "http://2130706433/a.mp4", "http://10.0.0.1/a.mp4", "file:///etc/passwd", "ftp://example.com/a.mp4",
        "http://user:word@example.com/a.mp4", "gopher://127.0.0.1:6379/_INFO",
    ],
)  # fmt: skip
def test_an_address_inside_is_never_looked_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr("httpcore.SyncBackend.connect_tcp", connect)
    found = look([VIDEO_URL], {"video_url": url})

    assert found.media == {}
    assert len(found.problems) == 1


def test_a_redirect_inside_is_not_followed(settings: Any) -> None:
    with files(settings, whole(b"", status=302, Location="http://127.0.0.1:1/")) as served:
        found = look([VIDEO_URL], {"video_url": served.url()})

    assert found.problems == ["video_url: the host sends us elsewhere, and redirects are not followed"]


def test_a_name_that_points_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genfeed.net.guarded.public_addresses", probing_addresses)
    found = look([VIDEO_URL], {"video_url": "http://innocent.example/a.mp4"})

    assert found.problems == ["video_url: the host is not on the public internet"]


def probing_addresses(host: str, port: int, **options: Any) -> list[str]:
    from genfeed.net.addresses import public_addresses

    assert options.pop("resolver") is resolve
    return public_addresses(host, port, resolver=lambda *_: ["10.0.0.7"], **options)


def test_a_host_that_never_answers_costs_no_more_than_the_budget(settings: Any) -> None:
    settings.PROBE_SECONDS = 0.3
    release = threading.Event()
    with files(settings, lambda _: release.wait(5) and None) as served:
        found = look([VIDEO_URL], {"video_url": served.url()})
        release.set()

    assert found.problems == ["video_url: the host did not answer in time"]


def test_only_so_many_files_are_looked_at(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "MOST_FILES", 3)
    with files(settings, whole(png(10, 10))) as served:
        budget = Budget(files=3, ends_at=Budget.start().ends_at)
        facts = facts_about(make_sold("fal-ai/any", inputs=[IMAGES]))
        found = probe(facts, {"image_urls": [served.url(f"/{number}") for number in range(5)]}, None, budget)

    assert len(served.requests) == 3
    assert len(found.problems) == 2


def test_while_too_many_look_others_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "_seats", threading.BoundedSemaphore(1))
    with probing._seats:
        found = look([VIDEO_URL], {"video_url": "http://example.com/a.mp4"})

    assert "tell the facts in `media`" in found.problems[0]


def test_a_parser_that_breaks_is_a_problem_in_words(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(probing._READ, "video", broken)
    with files(settings, whole(mp4())) as served:
        assert look([VIDEO_URL], {"video_url": served.url()}).problems == ["video_url: the file can't be read"]


def test_an_estimate_with_probe_uses_what_was_found(settings: Any, asker: HttpClient) -> None:
    make_sold("fal-ai/v2v", "0.01", "seconds", inputs=[VIDEO_URL, PROMPT])
    with files(settings, in_ranges(mp4(frames=81, fps=16))) as served:
        asked = {"model": "fal-ai/v2v", "input": {"video_url": served.url(), "prompt": "a"}}
        without = post(asker, "/estimates", asked)
        found = post(asker, "/estimates", {**asked, "probe": True})

    assert (without["confidence"], without["missing"]) == ("unknown", ["input_video_seconds"])
    assert (found["units"], found["confidence"]) == ("5.0625", "exact")
    assert found["media"]["input_video_seconds"] == "5.0625"
    assert found["probe_problems"] == []


def test_without_probe_no_file_is_looked_at(settings: Any, asker: HttpClient) -> None:
    make_sold("fal-ai/v2v", "0.01", "seconds", inputs=[VIDEO_URL])
    with files(settings, in_ranges(mp4())) as served:
        post(asker, "/estimates", {"model": "fal-ai/v2v", "input": {"video_url": served.url()}})

    assert served.requests == []


def test_a_file_that_can_not_be_looked_at_leaves_an_estimate_that_says_so(asker: HttpClient) -> None:
    make_sold("fal-ai/v2v", "0.01", "seconds", inputs=[VIDEO_URL])
    asked = {"model": "fal-ai/v2v", "input": {"video_url": "http://192.168.0.1/a.mp4"}, "probe": True}

    found = post(asker, "/estimates", asked)

    assert (found["price"], found["missing"]) == (None, ["input_video_seconds"])
    assert found["probe_problems"] == ["video_url: the host is not on the public internet"]
