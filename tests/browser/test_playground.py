"""The playground in a browser: a job from a key to its picture, errors, files, and the page for everybody."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.signing_in import log_in
from tests.browser.test_pages import PHONE, WIDE, findings, is_as_wide_as_its_window, photograph
from tests.media.files import png
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser

SCHNELL, IMAGE_TO_IMAGE = "fal-ai/flux/schnell", "fal-ai/flux/dev/image-to-image"
SCOPES = ("--scopes", "models:read,estimates,jobs:read,jobs:write", "--balance", "5", "--json")
EVERYTHING = {"include": ["html"]}


@pytest.fixture(scope="module")
def key(app: RunningApp) -> str:
    made: str = json.loads(app.manage("create_client", "Players", *SCOPES))["api_key"]
    return made


@pytest.fixture
def playing(app: RunningApp, page: Page, key: str) -> Iterator[Page]:
    """The page with the key in it and one model chosen; no address that it asked for holds the key."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{app.base_url}/playground")
    page.fill("#key", key)
    page.click("#key-use")
    page.wait_for_selector("#found button")
    page.fill("#search", "flux schnell")
    page.click(f"#found button:has-text('{SCHNELL} ')")
    page.wait_for_selector("#field-prompt")
    yield page
    assert [url for url in [*asked, page.url] if key in url] == []


def price_becomes(page: Page, price: str) -> None:
    page.wait_for_function("price => document.getElementById('price').textContent === price", arg=price, timeout=10_000)


def run_to_its_picture(page: Page, prompt: str) -> str:
    """What the page says of the job in the end."""
    page.fill("#field-prompt", prompt)
    price_becomes(page, "0.01 USD")
    page.click("#run")
    page.wait_for_function("() => document.querySelector('#files img')?.naturalWidth > 0", timeout=30_000)
    page.wait_for_selector("#job-bar", state="hidden")
    return page.inner_text("#job-state")


def run_copied(page: Page, language: str, key: str, *command: str) -> str:
    """What the copied text prints when a program runs it."""
    page.check(f"input[name=language][value={language}]")
    page.click("#copy")
    page.wait_for_function("() => document.getElementById('copied').textContent === 'Copied.'")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert key not in copied
    environment = os.environ | {"GENFEED_KEY": key, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        command, input=copied, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_model_is_run_and_its_request_copied(playing: Page, key: str) -> None:
    playing.fill("#field-prompt", "it's a fox")
    price_becomes(playing, "0.01 USD")
    assert "exact" in playing.inner_text("#confidence")
    playing.click("#more-title")
    playing.fill("#field-num_images", "2")
    price_becomes(playing, "0.02 USD")
    assert "num_images 2" in playing.inner_text("#basis")

    playing.click("#run")
    playing.wait_for_function("() => document.querySelectorAll('#files img').length === 2", timeout=30_000)
    playing.wait_for_function("() => [...document.querySelectorAll('#files img')].every(one => one.naturalWidth > 0)")
    playing.wait_for_selector("#job-bar", state="hidden")
    assert "succeeded, 0.02 USD charged" in playing.inner_text("#job-state")
    photograph(playing, "playground, wide")

    answered = json.loads(run_copied(playing, "curl", key, "sh"))
    assert answered["model"] == SCHNELL
    assert answered["quote"]["price"] == "0.02"
    assert run_copied(playing, "python", key, sys.executable, "-").startswith("succeeded")
    assert run_copied(playing, "javascript", key, "node", "--input-type=module", "-").startswith("succeeded")


def test_what_is_wrong_stands_at_its_field_before_anything_is_asked(playing: Page) -> None:
    playing.click("#run")
    assert playing.inner_text("#field-prompt-trouble") == "This field is required."
    assert playing.evaluate("document.activeElement.id") == "field-prompt"

    playing.fill("#field-prompt", "a fox")
    price_becomes(playing, "0.01 USD")
    playing.click("#more-title")
    playing.select_option("#field-image_size", "own")
    playing.fill("#field-image_size-own", "[1024")
    assert "no JSON yet" in playing.inner_text("#field-image_size-trouble")
    assert "image_size" in playing.inner_text("#basis")
    playing.fill("#field-image_size-own", '{"width": 2048, "height": 1024}')
    price_becomes(playing, "0.02 USD")
    assert playing.inner_text("#field-image_size-trouble") == ""


def test_a_file_is_uploaded_and_named_in_the_input(playing: Page, app: RunningApp) -> None:
    playing.goto(f"{app.base_url}/playground?model={IMAGE_TO_IMAGE}")
    playing.set_input_files("#field-image_url-file", {"name": "a.png", "mimeType": "image/png", "buffer": png(64, 64)})
    playing.wait_for_function("() => document.getElementById('field-image_url').value.startsWith('asset:ast_')")

    assert playing.input_value("#field-image_url") in playing.inner_text("#snippet")


def test_the_api_s_errors_are_shown_with_their_hints(app: RunningApp, browser: Any, key: str) -> None:
    with browser.new_context(viewport=WIDE) as context:
        page = context.new_page()
        page.goto(f"{app.base_url}/playground?model=fal-ai/flux/schnel")
        page.fill("#key", "gf_wrong")
        page.click("#key-use")
        page.wait_for_selector("#key-state.error strong")
        assert page.evaluate("sessionStorage.length") == 0
        page.fill("#key", key)
        page.click("#key-use")
        page.wait_for_selector("#search-state strong")

        assert "Did you mean" in page.inner_text("#search-state")


def test_the_key_lives_in_the_tab_until_it_is_forgotten(playing: Page) -> None:
    playing.reload()
    playing.wait_for_selector("#field-prompt")
    playing.click("#key-forget")
    playing.wait_for_selector("#key-use")

    assert playing.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]


def test_the_playground_is_readable_for_everybody_wide_narrow_and_dark(playing: Page) -> None:
    assert "succeeded" in run_to_its_picture(playing, "a fox")
    playing.click("#more-title")

    assert findings(playing, EVERYTHING) == []
    playing.set_viewport_size(PHONE)
    assert is_as_wide_as_its_window(playing)
    photograph(playing, "playground, phone")
    playing.set_viewport_size(WIDE)
    playing.emulate_media(color_scheme="dark")
    assert findings(playing, EVERYTHING, runOnly=["color-contrast"]) == []
    photograph(playing, "playground, dark")


def test_a_model_s_page_in_the_admin_leads_to_it(app: RunningApp, page: Page) -> None:
    log_in(page, app)
    page.goto(f"{app.base_url}/admin/catalog/aimodel/?q=flux/schnell")
    page.click("#result_list tbody tr th a")
    page.click("[data-testid=try-it]")

    page.wait_for_url("**/playground?model=*schnell")
    assert page.inner_text("h1") == "Playground"


@pytest.fixture
def troubled(app: RunningApp, browser: Any, key: str) -> Iterator[Page]:
    """The page with the key in it, where the browser may complain of what a test breaks."""
    with browser.new_context(viewport=WIDE) as context:
        page = context.new_page()
        page.goto(f"{app.base_url}/playground?model={SCHNELL}")
        page.fill("#key", key)
        page.click("#key-use")
        page.wait_for_selector("#field-prompt")
        yield page


def test_a_job_whose_stream_breaks_is_asked_for(troubled: Page) -> None:
    troubled.route("**/events?token=*", lambda route: route.abort())

    assert "succeeded" in run_to_its_picture(troubled, "a fox without a stream")


def test_a_request_without_an_answer_is_sent_again_as_the_same(troubled: Page) -> None:
    sent: list[tuple[str, str]] = []

    def lose_the_first_answer(route: Any) -> None:
        answer = route.fetch()
        sent.append((route.request.headers["idempotency-key"], answer.json()["id"]))
        if len(sent) == 1:
            route.abort()
        else:
            route.fulfill(response=answer)

    troubled.route("**/api/v1/jobs", lose_the_first_answer)
    troubled.fill("#field-prompt", "a fox that is lost")
    troubled.click("#run")
    troubled.wait_for_selector("#trouble strong")
    assert "does not answer" in troubled.inner_text("#trouble")

    assert "succeeded" in run_to_its_picture(troubled, "a fox that is lost")
    assert len(sent) == 2
    assert sent[0] == sent[1]


def test_a_sound_can_be_played_where_it_was_made(playing: Page, app: RunningApp) -> None:
    playing.goto(f"{app.base_url}/playground?model=beatoven/music-generation")
    playing.fill("#field-prompt", "rain on a tin roof")
    playing.click("#run")

    playing.wait_for_function("() => document.querySelector('#files audio')?.duration > 0", timeout=30_000)
