"""A page of another origin with fal's own JavaScript client, as docs/fal.md shows it, in a real browser."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.net.servers import serving
from tests.protocols.npm import for_a_page, install_client
from tests.protocols.pages import blocks
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser

_MORE = """
const seen = { url: data.images[0].url };
const file = new File([Uint8Array.from(atob(PNG), (one) => one.charCodeAt(0))], "a.png", { type: "image/png" });
seen.file = await fal.storage.upload(file);
const wrong = fal.subscribe("fal-ai/flux/dev", { input: { prompt: 7 } });
seen.error = await wrong.catch((error) => [error.name, error.status]);
seen.id = (await fal.queue.submit("fal-ai/flux/dev", { input: { prompt: "a fox", unknown: 1 } })).request_id;
const native = fetch(API + "/api/v1/jobs", { headers: { Authorization: "Key " + token } });
seen.native = await native.catch(() => "not readable");
return seen;
"""


def test_a_page_of_another_origin_runs_models_by_a_token_alone(app: RunningApp, browser: Any, tmp_path: Path) -> None:
    install_client(tmp_path)
    scopes = ("--scopes", "jobs:read,jobs:write", "--balance", "5", "--json")
    key = json.loads(app.manage("create_client", "Fal pages", *scopes))["api_key"]
    (example,) = blocks("js")
    imports, rest = example.replace("https://media.example.com", app.base_url).split("\n", 1)
    assert imports == 'import { createFalClient } from "@fal-ai/client";'

    def page_of_theirs(handler: Any) -> None:
        content = f"<!doctype html><title>elsewhere</title><script>{for_a_page(tmp_path)}</script>".encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with serving(page_of_theirs) as theirs, httpx.Client(base_url=app.base_url, trust_env=False) as api:
        origin = theirs.url("")
        headers = {"Authorization": f"Bearer {key}"}
        made = api.post("/api/v1/browser-tokens", json={"origin": origin}, headers=headers)
        assert made.status_code == 201, made.text
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(theirs.url("/"))
        known = {"token": made.json()["token"], "API": app.base_url, "PNG": PNG}
        program = f'const {{ createFalClient }} = require("@fal-ai/client");\n{rest}\n{_MORE}'
        seen = page.evaluate(f"async ({{ {', '.join(known)} }}) => {{ {program} }}", known)
        page.close()
        job = api.get(f"/api/v1/jobs/{seen['id']}", headers=headers).json()

    assert seen["url"].startswith("http")
    assert seen["file"].startswith(f"{app.base_url}/assets/ast_")
    assert seen["error"] == ["ValidationError", 422]
    assert seen["native"] == "not readable"
    assert job["metadata"]["browser_token"] == made.json()["id"]


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
