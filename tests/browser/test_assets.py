"""Files of ours in a real browser: a film that a page embeds is played from wherever one likes."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Request

from genfeed.sandbox.media.making import Wish, make
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser

PADDING = 20_000_000
SEEK = "video => { video.currentTime = 40; return new Promise(done => video.onseeked = () => done(video.currentTime)) }"
LOADED = "video => video.readyState >= 1 || new Promise(done => video.onloadedmetadata = () => done(true))"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>document.title="ran"</script></svg>'


@pytest.fixture(scope="module")
def api(app: RunningApp) -> Iterator[httpx.Client]:
    made = json.loads(app.manage("create_client", "Films", "--scopes", "jobs:read,jobs:write", "--json"))
    headers = {"Authorization": f"Bearer {made['api_key']}"}
    with httpx.Client(base_url=app.base_url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def long_film() -> bytes:
    """A film whose header and pictures lie behind 20 MB of nothing, so that a player must ask for ranges."""
    film = make(Wish(kind="mp4", seed="a", width=320, height=240, seconds=60))
    first = int.from_bytes(film[:4])
    free = (PADDING).to_bytes(4) + b"free" + bytes(PADDING - 8)
    moved = bytearray(film)
    at = film.find(b"stco")
    while at != -1:
        for entry in range(int.from_bytes(film[at + 8 : at + 12])):
            place = at + 12 + 4 * entry
            moved[place : place + 4] = (int.from_bytes(film[place : place + 4]) + PADDING).to_bytes(4)
        at = film.find(b"stco", at + 4)
    return bytes(moved[:first]) + free + bytes(moved[first:])


def test_a_film_on_a_page_of_others_is_sought_by_ranges(
    app: RunningApp,
    api: httpx.Client,
    browser: Any,
) -> None:
    made = api.post("/api/v1/uploads", files={"file": ("film.mp4", long_film())}).json()
    assert (made["state"], made["seconds"]) == ("stored", 60.0)
    asked: list[tuple[str, int]] = []

    def note(request: Request) -> None:
        response = request.response()
        if "/assets/" in request.url and response:
            asked.append((request.headers.get("range", ""), response.status))

    page = browser.new_page()
    page.on("requestfinished", note)
    page.on("requestfailed", note)
    page.set_content(f'<video src="{made["url"]}" muted preload="auto"></video>')
    video = page.locator("video")
    assert video.evaluate(LOADED)
    assert video.evaluate("video => video.duration") == pytest.approx(60, abs=0.2)
    assert video.evaluate("video => video.seekable.end(0)") == pytest.approx(60, abs=0.2)
    assert video.evaluate(SEEK) == pytest.approx(40, abs=0.1)
    assert video.evaluate("video => video.error") is None
    page.close()
    inside = [header for header, status in asked if status == 206 and header not in ("", "bytes=0-")]
    assert inside, asked


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_curl_goes_on_where_it_stopped(api: httpx.Client, tmp_path: Path) -> None:
    content = long_film()
    made = api.post("/api/v1/uploads", files={"file": ("film.mp4", content)}).json()
    target = tmp_path / "film.mp4"

    subprocess.run(["curl", "-sSf", "-r", "0-9999999", "-o", target, made["url"]], check=True, timeout=60)
    assert target.stat().st_size == 10_000_000
    subprocess.run(["curl", "-sSf", "-C", "-", "-o", target, made["url"]], check=True, timeout=60)

    assert target.read_bytes() == content


def test_an_svg_that_is_opened_runs_no_script(api: httpx.Client, browser: Any) -> None:
    made = api.post("/api/v1/uploads", files={"file": ("a.svg", SVG)}).json()
    assert made["content_type"] == "image/svg+xml"

    page = browser.new_page()
    page.goto(made["url"])

    assert page.evaluate("document.title") != "ran"
    page.close()


def test_a_job_of_the_sandbox_ends_with_a_film_of_ours(app: RunningApp, tmp_path: Path) -> None:
    made = json.loads(
        app.manage(
            "create_client", "Buyer", "--balance", "100", "--scopes", "models:read,jobs:read,jobs:write", "--json"
        )
    )
    headers = {"Authorization": f"Bearer {made['api_key']}"}
    with httpx.Client(base_url=app.base_url, headers=headers, trust_env=False, timeout=30) as client:
        models = client.get("/api/v1/models", params={"category": "text-to-video", "limit": 200}).json()["items"]
        accepted = (
            client.post("/api/v1/jobs", json={"model": one["id"], "input": {"prompt": "a fox"}}) for one in models
        )
        job = next(answer.json() for answer in accepted if answer.status_code == 201)
        while job["status"] not in ("succeeded", "failed") or any(one["state"] == "pending" for one in job["assets"]):
            job = client.get(f"/api/v1/jobs/{job['id']}").json()
        (film,) = [one for one in job["assets"] if one["kind"] == "video"]
        content = httpx.get(film["url"], headers={"Range": "bytes=4-7"})

    assert (content.status_code, content.content) == (206, b"ftyp")
    assert film["seconds"] > 0
