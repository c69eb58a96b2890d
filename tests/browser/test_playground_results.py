"""What comes and goes in the playground: files of each kind, lengths that a price needs, a job that is canceled."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.test_pages import WIDE
from tests.media.files import png
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser

FLUX = "fal-ai/flux/schnell"
SCOPES = ("--scopes", "models:read,estimates,jobs:read,jobs:write", "--json")
ENDED = "() => document.getElementById('job-bar').hidden && /ed/.test(document.getElementById('job-state').textContent)"
FILES = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": png(32 * n, 32)} for n in (1, 2)]


@pytest.fixture(scope="module")
def tester(app: RunningApp) -> str:
    """A test key: what these tests run costs nothing, and does what its prompt says."""
    made: str = json.loads(app.manage("create_client", "Testing players", "--test", *SCOPES))["api_key"]
    return made


@pytest.fixture
def page(app: RunningApp, browser: Any, tester: str) -> Iterator[Page]:
    """A page with the key in it."""
    with browser.new_context(viewport=WIDE) as context:
        opened = context.new_page()
        opened.add_init_script(f"sessionStorage.setItem('genfeed.playground.key', {json.dumps(tester)})")
        yield opened


def choose(page: Page, app: RunningApp, model: str) -> None:
    page.goto(f"{app.base_url}/playground?model={model}")
    page.wait_for_selector("#running:not([hidden])")


def run(page: Page, prompt: str = "a fox") -> str:
    """What the page says of the job at its end."""
    if prompt:
        page.fill("#field-prompt", prompt)
    page.click("#run")
    page.wait_for_function(ENDED, timeout=30_000)
    return page.inner_text("#job-state")


def uploaded(page: Page, field: str, count: int) -> list[str]:
    """The field's lines, once there are so many."""
    page.wait_for_function(
        "([id, count]) => document.getElementById(id).value.split('asset:ast_').length === count + 1",
        arg=[field, count],
    )
    return page.input_value(f"#{field}").split("\n")


def test_a_test_key_runs_for_nothing_and_a_job_is_canceled(page: Page, app: RunningApp) -> None:
    choose(page, app, FLUX)
    assert "nothing costs money" in page.inner_text("#key-state")
    page.fill("#field-prompt", "a fox [test: slow:60]")
    page.click("#run")
    page.wait_for_function("() => /running/.test(document.getElementById('job-state').textContent)", timeout=30_000)

    page.click("#cancel")
    page.wait_for_function(ENDED, timeout=30_000)

    assert "canceled" in page.inner_text("#job-state")
    assert not page.is_visible("#cancel")
    assert page.is_enabled("#run")


def test_a_job_that_fails_says_why_and_what_to_do(page: Page, app: RunningApp) -> None:
    choose(page, app, FLUX)

    state = run(page, "a fox [test: fail:content_refused]")

    assert "failed" in state
    assert "Change the prompt" in state


def test_a_film_can_be_played_where_it_was_made(page: Page, app: RunningApp) -> None:
    choose(page, app, "fal-ai/animatediff-sparsectrl-lcm")

    assert "would be charged" in run(page)
    page.wait_for_function("() => document.querySelector('#files video')?.duration > 0", timeout=30_000)


def test_a_shape_is_given_as_a_file(page: Page, app: RunningApp) -> None:
    choose(page, app, "fal-ai/hunyuan-motion")
    run(page)

    href = page.get_attribute("#files a", "href")

    assert href is not None
    assert page.request.get(href).body()
    assert page.locator("#files img, #files video").count() == 0


def test_what_has_no_files_is_shown_as_it_is(page: Page, app: RunningApp) -> None:
    choose(page, app, "fal-ai/florence-2-large/caption")
    page.set_input_files("#field-image_url-file", FILES[:1])
    uploaded(page, "field-image_url", 1)

    run(page, "")

    assert page.is_visible("#output-text")
    assert "results" in page.inner_text("#output-text")


def test_several_files_are_uploaded_into_a_list(page: Page, app: RunningApp) -> None:
    choose(page, app, "fal-ai/bytedance/seedance/v1/lite/reference-to-video")
    page.set_input_files("#field-reference_image_urls-file", FILES)

    lines = uploaded(page, "field-reference_image_urls", 2)

    assert len(lines) == 2
    assert json.dumps(lines, separators=(",", ":")) in page.inner_text("#snippet").replace("\n", "")


@pytest.mark.parametrize(("type", "count"), [("object", 1), ("array", 2)])
def test_a_file_is_uploaded_into_an_object_or_a_list_of_them(
    page: Page, app: RunningApp, type: str, count: int
) -> None:
    fields = [{"name": "url", "type": "string", "required": True, "nullable": False}]
    item = {"name": "source", "type": "object", "fields": fields}
    own = {"name": "source", "type": type, "required": True, "nullable": False, "media": "image"}
    own |= {"fields": fields} if type == "object" else {"items": item}

    def with_the_field(route: Any) -> None:
        answer = route.fetch()
        told = answer.json()
        route.fulfill(response=answer, json=told | {"inputs": [own, *told["inputs"]]})

    page.route(f"**/api/v1/models/{FLUX}", with_the_field)
    choose(page, app, FLUX)
    page.set_input_files("#field-source-file", FILES[:count])
    uploaded(page, "field-source", count)

    told = json.loads(page.input_value("#field-source"))

    files = told if type == "array" else [told]
    assert [one["url"].startswith("asset:ast_") for one in files] == [True] * count


def test_a_length_that_the_price_needs_is_asked_for_and_sent(page: Page, app: RunningApp) -> None:
    choose(page, app, "fal-ai/elevenlabs/speech-to-text")
    page.fill("#field-audio_url", "https://example.com/a.mp3")
    page.fill("#fact-input_audio_seconds", "90")

    page.wait_for_function("() => document.getElementById('price').textContent === '0.15 USD'", timeout=10_000)

    assert '"media":{"input_audio_seconds":90}' in page.inner_text("#snippet").replace("\n", "")


def test_an_answer_that_does_not_come_while_the_job_runs_is_asked_for_again(page: Page, app: RunningApp) -> None:
    lost: list[str] = []

    def lose_the_first(route: Any) -> None:
        lost.append(route.request.url)
        if len(lost) == 1:
            route.fulfill(status=503, json={"code": "offline", "message": "Not now.", "hint": "", "requestId": "1"})
        else:
            route.continue_()

    page.route("**/events?token=*", lambda route: route.abort())
    page.route("**/api/v1/jobs/job_*", lose_the_first)
    choose(page, app, FLUX)

    assert "succeeded" in run(page)
    assert len(lost) > 1
