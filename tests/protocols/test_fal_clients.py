"""fal's own clients, from PyPI and npm, against a started installation: only host and key are other ones."""

import base64
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fleet import Fleet, fleet
from tests.media.files import png
from tests.protocols.npm import install_client
from tests.protocols.pages import blocks
from tests.protocols.tls import make_certificates, tls_before
from tests.sandbox_server import ROOT, free_port

SECONDS = 120
PATIENCE_SECONDS = 30
HERE = Path(__file__).parent
# What the sandbox does with the requests of the scripts, by their prompts.
RULES = [
    {"input": "a slow fox", "seconds": 1.0},
    {"input": "an endless fox", "stuck": "IN_PROGRESS"},
    {"input": "a waiting fox", "stuck": "IN_QUEUE"},
    {"input": "a crowded fox", "error": {"status": 503}},
    {"input": "an indecent fox", "error": {"status": 422, "type": "content_policy_violation"}},
]


@dataclass
class Installation:
    """A web process, reached over TLS, a dispatcher and a sandbox; `key` belongs to a client with money."""

    fleet: Fleet
    key: str
    https: str
    authority: Path

    @property
    def http(self) -> str:
        return self.fleet.base_url

    def python(self, program: str) -> str:
        """What a program prints that knows fal's hosts by its environment alone."""
        host = self.https.removeprefix("https://")
        own = {"FAL_KEY": self.key, "FAL_RUN_HOST": f"{host}/fal/run", "FAL_QUEUE_RUN_HOST": f"{host}/fal/queue"}
        return finished([sys.executable, "-c", program], own | {"SSL_CERT_FILE": str(self.authority)})


def finished(command: list[str], environment: dict[str, str], cwd: Path = ROOT) -> str:
    """What a command prints; fails with all that it said where it fails, or takes too long."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAL_", "DJANGO_"))}
    done = subprocess.run(
        command, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path | None) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("clients")
    authority, certificate = make_certificates(folder)
    tls_port = free_port()
    https = f"https://localhost:{tls_port}"
    with fleet(folder / "var", worker=False, migrated=migrated_database) as running:
        key = running.prepare()
        # The provider knows nothing of our authority: only the web process tells the address, and jobs are polled.
        running.settings["PUBLIC_URL"] = https
        running.start("web")
        del running.settings["PUBLIC_URL"]
        running.start_all()
        running.sandbox.faults(processing_ms=50, jobs=RULES)
        with tls_before(running.port, at=tls_port, certificate=certificate):
            yield Installation(running, key, https, authority)


# --- Python ---


@pytest.fixture(scope="module")
def seen(here: Installation) -> dict[str, Any]:
    """What a program with the official client saw."""
    printed = here.python((HERE / "official.py").read_text())
    return dict(json.loads(printed.splitlines()[-1]))


def is_output(value: Any) -> bool:
    return set(value) >= {"images", "seed"} and value["images"][0]["url"].startswith("http")


def test_python_submits_and_follows_states_and_logs_to_the_result(seen: dict[str, Any]) -> None:
    states = seen["states"]
    assert states["kinds"][-1] == "Completed"
    assert set(states["kinds"]) == {"Queued", "InProgress", "Completed"}
    assert "Step 10 of 10" in states["logs"]
    assert is_output(states["output"])
    assert (states["by_id"], states["again"]["seed"]) == ("Completed", states["output"]["seed"])


def test_python_subscribes(seen: dict[str, Any]) -> None:
    output, enqueued = seen["subscribe"]
    assert is_output(output)
    assert len(enqueued) == 1


def test_python_runs_directly_and_waits_for_the_result(seen: dict[str, Any]) -> None:
    output, seconds = seen["run"]
    assert is_output(output)
    assert seconds >= 1.0


def test_python_streams(seen: dict[str, Any]) -> None:
    assert is_output(seen["stream"][-1])


def test_python_does_both_without_blocking(seen: dict[str, Any]) -> None:
    assert [is_output(one) for one in seen["concurrently"]] == [True, True]


def test_python_cancels(seen: dict[str, Any]) -> None:
    state, error_type, result = seen["cancel"]
    assert (state, error_type) == ("Completed", "client_cancelled")
    assert result[:2] == ["FalClientHTTPError", 499]


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("input", 422, ["value_error"]),
        ("content", 422, ["content_policy_violation"]),
        ("run", 422, ["content_policy_violation"]),
    ],
)
def test_python_raises_an_http_error_with_the_detail(
    seen: dict[str, Any], name: str, status: int, told: list[str]
) -> None:
    assert seen["errors"][name][:3] == ["FalClientHTTPError", status, told]


@pytest.mark.parametrize(("name", "status"), [("model", 404), ("key", 401), ("start", 504)])
def test_python_raises_an_http_error_with_the_status(seen: dict[str, Any], name: str, status: int) -> None:
    assert seen["errors"][name][:2] == ["FalClientHTTPError", status]


def test_a_repetition_of_pythons_with_an_idempotency_key_is_one_job(seen: dict[str, Any]) -> None:
    first, second, with_a_webhook = seen["once"]
    assert first == second
    assert with_a_webhook == ["FalClientHTTPError", 422]


def test_the_pythons_examples_of_the_page_run_as_they_stand(here: Installation) -> None:
    examples = [text for text in blocks("python") if "fal_client.submit" in text]
    assert len(examples) == 2
    printed = here.python("\n".join(examples))
    assert re.search(r"^http\S+$", printed, re.MULTILINE)


def test_every_request_was_charged_as_a_job(here: Installation, seen: dict[str, Any]) -> None:
    with httpx.Client(base_url=here.http, headers={"Authorization": f"Bearer {here.key}"}, trust_env=False) as api:
        job = api.get(f"/api/v1/jobs/{seen['states']['id']}").json()
        stopped = [one for one in api.get("/api/v1/jobs?limit=100").json()["items"] if one["status"] == "canceled"]
    assert float(job["charge"]) > 0
    assert {float(one["charge"] or 0) for one in stopped} == {0.0}


# --- JavaScript ---


@pytest.fixture(scope="module")
def page(here: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page of the example and a few lines more saw."""
    folder = tmp_path_factory.mktemp("page")
    install_client(folder)
    (asking,) = [text for text in blocks("bash") if "browser-tokens" in text]
    body = json.loads(re.findall(r"-d '(.*)'", asking)[0])
    made = httpx.post(
        f"{here.https}/api/v1/browser-tokens", json=body, headers={"Authorization": f"Bearer {here.key}"},
        verify=ssl.create_default_context(cafile=here.authority), trust_env=False,
    )  # fmt: skip
    assert made.status_code == 201, made.text
    (example,) = blocks("js")
    before = f"""
globalThis.window = {{ document: {{}} }};
const token = process.env.TOKEN, plain = globalThis.fetch;
const asPage = {{ Origin: {json.dumps(body["origin"])} }};
globalThis.fetch = (url, init) => plain(url, {{ ...init, headers: {{ ...init?.headers, ...asPage }} }});
"""
    head, rest = example.split("\n", 1)
    program = (
        head + before + rest.replace("https://media.example.com", here.https) + (HERE / "official.mjs").read_text()
    )
    (folder / "page.mjs").write_text(program)
    own = {"TOKEN": made.json()["token"], "NODE_EXTRA_CA_CERTS": str(here.authority)}
    own |= {"PNG": base64.b64encode(png(3, 2)).decode(), "NODE_NO_WARNINGS": "1"}
    return dict(json.loads(finished(["node", "page.mjs"], own, folder).splitlines()[-1]))


def test_the_example_of_a_page_runs_as_it_stands(page: dict[str, Any]) -> None:
    assert is_output(page["example"])


def test_javascript_subscribes_by_polling_and_by_streaming(page: dict[str, Any]) -> None:
    for states in (page["subscribe"], page["streamed"]):
        assert states[-1] == "COMPLETED"
        assert "IN_PROGRESS" in states
    assert page["requestId"].startswith("job_")


def test_javascript_runs_and_streams(page: dict[str, Any]) -> None:
    assert is_output(page["run"])
    assert is_output(page["stream"])


def test_javascript_cancels(page: dict[str, Any]) -> None:
    assert page["canceled"] == "client_cancelled"


def test_javascript_raises_the_same_classes(page: dict[str, Any]) -> None:
    assert page["errors"]["input"] == ["ValidationError", 422, ["value_error"]]
    assert page["errors"]["content"] == ["ValidationError", 422, ["content_policy_violation"]]
    assert page["errors"]["model"][:2] == ["ApiError", 404]


def test_a_repetition_of_javascripts_with_an_idempotency_key_is_one_job(page: dict[str, Any]) -> None:
    assert page["once"][0] == page["once"][1]
    assert page["errors"]["webhook"][:2] == ["ValidationError", 422]


def test_javascript_runs_no_model_again_that_had_no_capacity(here: Installation, page: dict[str, Any]) -> None:
    with httpx.Client(base_url=here.http, headers={"Authorization": f"Bearer {here.key}"}, trust_env=False) as api:
        jobs = api.get("/api/v1/jobs?limit=100&status=failed").json()["items"]

    assert page["errors"]["crowded"][:2] == ["ApiError", 500]
    assert [job["error"]["code"] for job in jobs].count("provider_unavailable") == 1


def test_javascript_is_told_at_once_that_a_file_is_too_large_for_it(page: dict[str, Any]) -> None:
    assert page["errors"]["large"][:2] == ["ApiError", 413]


def test_javascript_uploads_a_file(page: dict[str, Any]) -> None:
    assert "/assets/ast_" in page["file"]
    assert page["bytes"] == len(png(3, 2))


# --- direct runs that do not come to their end ---


def start_run(here: Installation, prompt: str, *, patience: float, **headers: str) -> httpx.Response | None:
    """The answer to a direct run; None where the client has lost patience and gone."""
    own = {"Authorization": f"Key {here.key}", **headers}
    with httpx.Client(base_url=here.http, headers=own, trust_env=False, timeout=patience) as api:
        try:
            return api.post("/fal/run/fal-ai/flux/dev", json={"prompt": prompt})
        except httpx.ReadTimeout:
            return None


def wait_for(here: Installation, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The latest job, once it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with httpx.Client(base_url=here.http, headers={"Authorization": f"Bearer {here.key}"}, trust_env=False) as api:
        while True:
            job = dict(api.get("/api/v1/jobs?limit=1").json()["items"][0])
            if what(job):
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.1)


def test_a_direct_run_whose_client_leaves_is_canceled(here: Installation) -> None:
    assert start_run(here, "an endless fox", patience=1) is None
    job = wait_for(here, lambda job: job["status"] == "canceled")
    assert float(job["charge"]) == 0


def test_one_with_an_idempotency_key_goes_on_and_the_same_request_gets_its_result(here: Installation) -> None:
    key = {"Idempotency-Key": "patient"}
    assert start_run(here, "a slow fox", patience=0.7, **key) is None
    before = wait_for(here, lambda job: job["status"] != "queued")

    answer = start_run(here, "a slow fox", patience=PATIENCE_SECONDS, **key)

    assert answer is not None
    assert (answer.status_code, answer.headers["x-fal-request-id"]) == (200, before["id"])
    assert is_output(answer.json())


def test_a_server_that_stops_says_that_the_request_goes_on_and_that_none_shall_repeat_it(here: Installation) -> None:
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(start_run, here, "an endless fox", patience=PATIENCE_SECONDS)
        job = wait_for(here, lambda job: job["status"] == "running")
        here.fleet.running["web"].terminate()
        answer = asked.result(PATIENCE_SECONDS)
    here.fleet.running.pop("web").wait(PATIENCE_SECONDS)
    here.fleet.start_all()

    assert answer is not None
    assert (answer.status_code, answer.headers["x-fal-request-timeout-type"]) == (504, "user")
    assert job["id"] in answer.json()["detail"]
    assert wait_for(here, lambda one: one["id"] == job["id"])["status"] == "running"
