"""A browser's own EventSource follows a job: on a page of another origin, without a key."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.net.servers import serving
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser

_PAGE = b"""<!doctype html><title>elsewhere</title><script>
window.seen = []; window.ended = null;
const source = new EventSource(new URLSearchParams(location.search).get("url"));
for (const type of ["job_queued", "job_started", "job_progress", "job_succeeded", "job_failed", "job_canceled"])
  source.addEventListener(type, event =>
    window.seen.push([event.lastEventId, event.type, JSON.parse(event.data).number]));
source.onerror = () => { if (source.readyState === EventSource.CLOSED) window.ended = window.seen.length; };
</script>"""


def page_of_theirs(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(len(_PAGE)))
    handler.end_headers()
    handler.wfile.write(_PAGE)


def test_a_page_of_another_origin_follows_a_job_by_its_address(app: RunningApp, browser: Any) -> None:
    scopes = ("--scopes", "jobs:read,jobs:write", "--balance", "5", "--json")
    key = json.loads(app.manage("create_client", "Pages", *scopes))["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"{app.base_url}/api/v1", headers=headers, trust_env=False, timeout=30) as api:
        made = api.post("/jobs", json={"model": "fal-ai/flux/schnell", "input": {"prompt": "a fox"}})
        assert made.status_code == 201, made.text
        with serving(page_of_theirs) as theirs:
            page = browser.new_page()
            page.goto(theirs.url(f"/?url={quote(made.json()['events_url'], safe='')}"))
            # It came back after the last event, and was told to stay away.
            page.wait_for_function("window.ended !== null", timeout=60_000)
            seen = page.evaluate("window.seen")
            page.close()
        told = api.get(f"/jobs/{made.json()['id']}/events").json()["items"]

    assert seen == [[str(event["number"]), event["type"], event["number"]] for event in told]
    assert seen[-1][1] == "job_succeeded"
