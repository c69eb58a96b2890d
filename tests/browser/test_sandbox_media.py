"""A browser opens the sandbox's files: pictures are drawn, films are decoded, sounds are decoded."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.sandbox.caller import Caller
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.browser
PICTURE = """url => new Promise(done => { const picture = new Image();
  picture.onload = () => done([picture.naturalWidth, picture.naturalHeight]);
  picture.onerror = () => done("not a picture"); picture.src = url; })"""
FILM = """url => new Promise(done => { const film = document.createElement("video"); film.muted = true;
  film.onerror = () => done(film.error.message);
  film.onloadeddata = () => { film.onseeked = () => done([film.videoWidth, film.videoHeight, film.duration]);
    film.currentTime = film.duration / 2; };
  film.src = url; film.load(); })"""
SOUND = """async url => { const bytes = await (await fetch(url)).arrayBuffer();
  return Math.round((await new OfflineAudioContext(1, 1, 8000).decodeAudioData(bytes)).duration); }"""


@pytest.fixture
def page(fal: Caller, browser: Any) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(f"{fal.sandbox.base_url}/rest/.well-known/jwks.json")
    yield page
    page.close()


@pytest.fixture
def fal(_builtin_sandbox: RunningSandbox) -> Iterator[Caller]:
    _builtin_sandbox.reset()
    _builtin_sandbox.faults(processing_ms=0)
    with Caller(_builtin_sandbox) as caller:
        yield caller


def output(fal: Caller, endpoint_id: str, **given: Any) -> dict[str, Any]:
    answer = fal.run(endpoint_id, given)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_browser_opens_pictures_films_and_sounds(fal: Caller, page: Page) -> None:
    size = {"width": 1000, "height": 600}
    for kind in ("png", "jpeg"):
        made = output(fal, "fal-ai/flux/dev", prompt="A fox", image_size=size, output_format=kind)
        assert page.evaluate(PICTURE, made["images"][0]["url"]) == [1000, 600]
    made = output(fal, "fal-ai/nano-banana", prompt="A fox", output_format="webp", aspect_ratio="16:9")
    shown = page.evaluate(PICTURE, made["images"][0]["url"])
    assert shown[0] / shown[1] == pytest.approx(16 / 9, rel=0.01)
    made = output(fal, "fal-ai/veo3", prompt="A fox", duration="8s", resolution="720p")
    assert page.evaluate(FILM, made["video"]["url"]) == [1280, 720, 8]
    made = output(fal, "fal-ai/chatterbox/text-to-speech", text="A fox")
    assert page.evaluate(SOUND, made["audio"]["url"]) == 5
