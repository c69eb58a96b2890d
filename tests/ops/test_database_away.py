"""While the database is away every answer that needs it says so, in its own form, and when to come again."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.sandbox_server import ROOT

# A process of its own, whose database is not there.
_PROBE = """
import json, django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False, headers={"Authorization": "Bearer gf_" + 8 * "a" + "_" + 43 * "b"})
client.cookies["sessionid"] = 32 * "a"
found = {}
for method, path in (
    ("get", "/api/v1/models"), ("post", "/api/v1/jobs"), ("get", "/admin/"), ("get", "/v1/models"),
    ("post", "/fal/queue/fal-ai/flux/dev"), ("post", "/mcp"), ("post", "/webhooks/fal/job_1/token"),
):
    body = {"data": "{}", "content_type": "application/json"} if method == "post" else {}
    answer = getattr(client, method)(path, **body)
    found[path] = [answer.status_code, answer.headers.get("Retry-After"), answer.content.decode()]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("away")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "genfeed.settings",
        "GENFEED_VAR_DIR": str(folder / "var"),
        "DATABASE_URL": f"sqlite:///{folder}/nowhere/db.sqlite3",
        "ALLOWED_HOSTS": "testserver",
        "LOG_LEVEL": "ERROR",
    }
    (folder / "var").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _PROBE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("path", ["/api/v1/models", "/api/v1/jobs"])
def test_the_api_answers_503_in_its_own_form_and_says_when_to_come_again(answers: dict[str, Any], path: str) -> None:
    status, retry_after, body = answers[path]
    said = json.loads(body)

    assert (status, retry_after) == (503, "5")
    assert {"code", "message", "hint", "requestId", "retry_after"} == said.keys()
    assert "database" in said["message"]


@pytest.mark.parametrize("path", ["/admin/", "/v1/models", "/fal/queue/fal-ai/flux/dev"])
def test_pages_and_foreign_protocols_answer_503_too(answers: dict[str, Any], path: str) -> None:
    assert answers[path][:2] == [503, "5"], answers[path]
