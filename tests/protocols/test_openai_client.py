"""OpenAI's own Python client, agents', and the quick start, against a started installation."""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import orjson
import pytest

from genfeed.media.sniffing import sniff
from tests.fleet import Fleet, fleet
from tests.lazily import Lazily
from tests.media.files import png
from tests.media.test_png_alpha import rgba
from tests.protocols import quick_start
from tests.protocols.openai_pages import program

if TYPE_CHECKING:
    from openai import OpenAI

openai, mcp, mcp_over_http = Lazily("openai"), Lazily("mcp"), Lazily("mcp.client.streamable_http")
IMAGE, EDIT, RATIO, VIDEO = (
    "fal-ai/flux/dev", "fal-ai/z-image/turbo/inpaint", "fal-ai/nano-banana-2", "fal-ai/veo3.1",
)  # fmt: skip
SECONDS = 60
# OpenAI gives its own videos up, and its client says so.
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API")
# What the sandbox does with requests, by their prompts.
RULES = [
    {"input": "an endless fox", "stuck": "IN_PROGRESS"},
    {"input": "an indecent fox", "error": {"status": 422, "type": "content_policy_violation"}},
    {"input": "a broken fox", "error": {"status": 500}},
]
_KEYS = """
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
client = Client.objects.get(name="Load")
scopes = ["models:read"], ["jobs:write", "jobs:read", "models:read", "usage:read", "estimates"]
print(*(create_key(client, actor=SYSTEM, scopes=one)[1] for one in scopes))
print(create_key(client, actor=SYSTEM, scopes=scopes[1], is_test=True)[1])
"""


@dataclass
class Installation:
    """A web process, a dispatcher and a sandbox with four models; `reader` may only list, `tester` is a test key."""

    fleet: Fleet
    key: str
    reader: str
    tester: str

    @property
    def base_url(self) -> str:
        return f"{self.fleet.base_url}/v1"

    def client(self, key: str = "", **options: Any) -> OpenAI:
        return openai.OpenAI(
            base_url=self.base_url, api_key=key or self.key, **{"timeout": SECONDS, "max_retries": 0} | options
        )

    def post(self, path: str) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx.post(f"{self.fleet.base_url}{path}", headers=headers, trust_env=False, timeout=SECONDS)
        assert answer.status_code == 200, answer.text

    def jobs(self, **filters: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"{self.fleet.base_url}/api/v1/jobs"
        answer = httpx.get(url, params={"limit": "100", **filters}, headers=headers, trust_env=False, timeout=SECONDS)
        return list(answer.json()["items"])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path | None) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("openai")
    settings = {"PUBLIC_URL": "here", "SYNC_WAIT_SECONDS": "8"}
    with fleet(folder / "var", settings=settings, worker=False, migrated=migrated_database) as running:
        models = folder / "models.jsonl"
        models.write_bytes(b"\n".join(orjson.dumps(running.sandbox.model(one)) for one in (IMAGE, EDIT, RATIO, VIDEO)))
        running.sandbox.load_catalog(models)
        running.prepare()
        running.manage("sync_models")
        reader, key, tester = " ".join(running.shell(_KEYS).splitlines()[-2:]).split()
        running.settings["TEST_SANDBOX_URL"] = running.sandbox.base_url
        running.start_all()
        running.sandbox.faults(processing_ms=50, jobs=RULES)
        yield Installation(running, key, reader, tester)


@pytest.fixture(scope="module")
def client(here: Installation) -> OpenAI:
    return here.client()


def until[T](look: Callable[[], T], is_it: Callable[[T], bool]) -> T:
    """What a look sees once it is as it shall be; fails with what it saw last."""
    deadline = time.monotonic() + SECONDS
    while not is_it(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    return seen


def kind(data: bytes) -> str:
    return sniff(data[:4096])


# --- models ---


def test_models_are_listed_and_found(client: OpenAI) -> None:
    assert {one.id for one in client.models.list()} == {IMAGE, EDIT, RATIO, VIDEO}
    assert client.models.retrieve(IMAGE).owned_by == "fal"


# --- images ---


def test_images_come_in_both_ways_with_their_size(client: OpenAI) -> None:
    made = client.images.generate(model=IMAGE, prompt="a fox", size="512x512", n=2, output_format="png")

    assert (len(made.data or ()), made.size, made.output_format) == (2, "512x512", "png")
    for image in made.data or ():
        assert kind(base64.b64decode(image.b64_json or "")) == "image/png"
        assert kind(httpx.get(image.url or "", trust_env=False).content) == "image/png"


@pytest.mark.parametrize(("wanted", "given"), [("url", (True, False)), ("b64_json", (False, True))])
def test_images_come_as_they_are_asked_for(client: OpenAI, wanted: Any, given: tuple[bool, bool]) -> None:
    (image,) = client.images.generate(model=IMAGE, prompt="a fox", response_format=wanted).data or ()

    assert (image.url is not None, image.b64_json is not None) == given


def test_a_model_that_knows_shapes_and_words_of_resolution_gets_those(here: Installation, client: OpenAI) -> None:
    answer = client.images.with_raw_response.generate(
        model=RATIO, prompt="a fox", size="1536x1024", safety_identifier="u1", extra_body={"seed": 3}
    )

    (job,) = [one for one in here.jobs(model=RATIO) if one["id"] == answer.headers["X-GenFeed-Job"]]
    assert job["status"] == "succeeded"
    assert float(job["charge"]) > 0
    assert job["metadata"] == {"user": "u1"}


def test_an_image_is_edited_where_the_mask_is_transparent(here: Installation, client: OpenAI) -> None:
    made = client.images.edit(
        model=EDIT, prompt="a hat", image=("fox.png", png(64, 64)), mask=("mask.png", rgba(4)), size="512x512"
    )

    assert made.size == "512x512"
    (sent,) = [one for one in here.fleet.sandbox.queue()["requests"] if one["endpoint_id"] == EDIT]
    urls = sent["input"]["image_url"], sent["input"]["mask_image_url"]
    assert all(url.startswith("http") for url in urls)
    mask = httpx.get(urls[1], trust_env=False).content
    assert mask[16:26] == rgba(4)[16:24] + b"\x08\x04"


def test_more_requests_wait_than_there_are_threads_and_others_are_answered(here: Installation) -> None:
    client = here.client()
    before = {one["id"] for one in here.jobs(model=IMAGE)}
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(client.images.generate, model=IMAGE, prompt="an endless fox") for _ in range(8)]
        made = until(lambda: {one["id"] for one in here.jobs(model=IMAGE)} - before, lambda ids: len(ids) == 8)
        assert not any(one.done() for one in waiting)
        for job_id in made:
            here.post(f"/api/v1/jobs/{job_id}/cancel")
        errors = [one.exception(SECONDS) for one in waiting]

    assert {type(one) for one in errors} == {openai.ConflictError}


def test_the_same_key_waits_for_the_same_images(client: OpenAI) -> None:
    same = {"Idempotency-Key": "one"}
    first, again = (
        client.images.with_raw_response.edit(
            model=EDIT, prompt="a hat", image=png(32, 32), mask=rgba(0), response_format="url", extra_headers=same
        )
        for _ in range(2)
    )

    assert first.headers["X-GenFeed-Job"] == again.headers["X-GenFeed-Job"]
    assert first.parse().data == again.parse().data


def test_what_takes_too_long_names_its_job_and_is_not_sent_again(here: Installation) -> None:
    patient = here.client(max_retries=2)
    with pytest.raises(openai.InternalServerError) as caught:
        patient.images.generate(model=IMAGE, prompt="an endless fox")

    error = caught.value
    assert (error.status_code, error.code) == (504, "timeout")
    (job,) = [one for one in here.jobs() if one["status"] in ("submitted", "running")]
    assert dict(error.body or {})["job"] == job["id"]  # type: ignore[call-overload]


def test_who_leaves_without_a_key_has_the_job_canceled(here: Installation) -> None:
    before = {one["id"] for one in here.jobs(model=IMAGE)}
    with pytest.raises(openai.APITimeoutError):
        here.client(timeout=1.0).images.generate(model=IMAGE, prompt="an endless fox")

    (job_id,) = {one["id"] for one in here.jobs(model=IMAGE)} - before
    until(lambda: {one["id"]: one["status"] for one in here.jobs(model=IMAGE)}[job_id], lambda it: it == "canceled")


# --- errors ---


@pytest.mark.parametrize(
    ("params", "kind_of_error", "code", "param"),
    [
        ({"model": "acme/none"}, "NotFoundError", "model_not_found", "model"),
        ({"n": 99}, "BadRequestError", "invalid_input", "n"),
        ({"size": "huge"}, "BadRequestError", "invalid_request", "size"),
        ({"style": "vivid"}, "BadRequestError", "invalid_request", "style"),
        ({"prompt": "an indecent fox"}, "BadRequestError", "content_policy_violation", None),
        ({"prompt": "a broken fox"}, "InternalServerError", "provider_error", None),
    ],
)
def test_errors_have_the_clients_own_classes(
    client: OpenAI, params: dict[str, Any], kind_of_error: str, code: str, param: str | None
) -> None:
    with pytest.raises(getattr(openai, kind_of_error)) as caught:
        client.images.generate(**{"model": IMAGE, "prompt": "a fox"} | params)

    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.request_id


def test_keys_that_are_wrong_or_lack_a_scope_are_told_apart(here: Installation) -> None:
    with pytest.raises(openai.AuthenticationError):
        here.client("gf_wrong").models.list()
    with pytest.raises(openai.PermissionDeniedError):
        here.client(here.reader).images.generate(model=IMAGE, prompt="a fox")


# --- videos ---


def test_a_video_is_made_fetched_listed_and_deleted(client: OpenAI) -> None:
    made = client.videos.create_and_poll(
        model=VIDEO, prompt="a fox", seconds="4", size="1280x720", poll_interval_ms=100
    )

    assert (made.status, made.seconds, made.progress, made.prompt) == ("completed", "4", 100, "a fox")
    assert kind(client.videos.download_content(made.id).read()) == "video/mp4"
    assert made.id in {one.id for one in client.videos.list(limit=1)}
    assert client.videos.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.download_content(made.id)


def test_a_video_that_fails_says_why(client: OpenAI) -> None:
    made = client.videos.create_and_poll(
        model=VIDEO, prompt="an indecent fox", seconds="4", size="1280x720", poll_interval_ms=100
    )

    assert made.status == "failed"
    assert made.error is not None
    assert made.error.code == "content_refused"


# --- the page ---


def test_the_examples_of_the_page_run_as_they_stand(here: Installation, tmp_path: Path) -> None:
    (tmp_path / "fox.png").write_bytes(png(64, 64))
    (tmp_path / "mask.png").write_bytes(rgba(0))
    command = [sys.executable, "-c", program(here.fleet.base_url, here.key)]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert kind((tmp_path / "fox.mp4").read_bytes()) == "video/mp4"
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("language", ["bash", "python", "js"])
def test_the_quick_start_runs_as_it_stands(here: Installation, tmp_path: Path, language: str) -> None:
    printed = quick_start.run(language, tmp_path, host=here.fleet.base_url, key=here.tester)

    assert [word for word in quick_start.PRINTED[language] if word not in printed] == []
    assert kind((tmp_path / "fox").read_bytes()).startswith("image/")


# --- agents: the official client of the Model Context Protocol, on the same installation ---


async def talk(
    here: Installation, key: str, mode: Any, *calls: tuple[str, dict[str, Any]], **options: Any
) -> list[Any]:
    """What a client gets that calls tools one after the other."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=SECONDS, trust_env=False) as http,
        mcp.Client(
            mcp_over_http.streamable_http_client(f"{here.fleet.base_url}/mcp", http_client=http), mode=mode
        ) as agent,
    ):
        return [await agent.call_tool(name, given, **options) for name, given in calls]


def tools(
    here: Installation, *calls: tuple[str, dict[str, Any]], key: str = "", mode: Any = "auto", **more: Any
) -> Any:
    return asyncio.run(asyncio.wait_for(talk(here, key or here.key, mode, *calls, **more), SECONDS))


FOX = {"model": IMAGE, "input": {"prompt": "a fox"}}


def test_an_agent_finds_a_model_estimates_runs_it_and_reads_the_usage(here: Installation) -> None:
    found, listed, schema, estimate, job, usage = tools(
        here, ("search_models", {"query": "flux dev"}), ("list_models", {"media_type": "video"}),
        ("get_model_schema", {"model": IMAGE}), ("estimate", FOX), ("run_job", FOX), ("usage", {}),
    )  # fmt: skip

    assert [one["id"] for one in found.structured_content["items"]] == [IMAGE]
    assert [one["id"] for one in listed.structured_content["items"]] == [VIDEO]
    assert "prompt" in schema.structured_content["input_schema"]["properties"]
    made = job.structured_content
    assert (made["status"], made["assets"][0]["state"]) == ("succeeded", "stored")
    assert float(made["charge"]) <= float(estimate.structured_content["high"])
    assert float(usage.structured_content["total"]["charge"]) > 0
    assert orjson.loads(job.content[0].text) == made


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_agent_is_told_the_progress_of_its_job(here: Installation, mode: str) -> None:
    messages: list[str | None] = []

    async def tell(_seconds: float, _total: float | None, message: str | None) -> None:
        messages.append(message)

    (job,) = tools(here, ("run_job", FOX), mode=mode, progress_callback=tell)

    assert job.structured_content["status"] == "succeeded"
    assert messages
    assert all(str(message).startswith(job.structured_content["id"]) for message in messages)


def test_an_agent_that_says_its_key_again_gets_the_same_job(here: Installation) -> None:
    named = FOX | {"idempotency_key": "order 7"}
    first, again, other = tools(here, ("run_job", named), ("run_job", named), ("run_job", named | {"model": RATIO}))

    assert first.structured_content["id"] == again.structured_content["id"]
    assert ("repeated" in first.structured_content, again.structured_content["repeated"]) == (False, True)
    assert (other.is_error, other.structured_content["code"]) == (True, "idempotency_key_reused")


def test_an_agent_waits_no_longer_than_it_says_and_cancels(here: Installation) -> None:
    endless = {"model": IMAGE, "input": {"prompt": "an endless fox"}, "wait_seconds": 0}
    (job,) = tools(here, ("run_job", endless))
    job_id = {"job": job.structured_content["id"]}

    (asked,) = tools(here, ("cancel_job", job_id))

    assert job.structured_content["status"] in ("queued", "submitting", "submitted", "running")
    assert not asked.is_error
    # One that is being submitted meanwhile is canceled once it is known what became of that.
    until(lambda: tools(here, ("get_job", job_id))[0].structured_content["status"], lambda status: status == "canceled")


def test_an_agent_whose_key_lacks_the_scope_spends_nothing(here: Installation) -> None:
    before = len(here.jobs())

    run, usage, listed = tools(here, ("run_job", FOX), ("usage", {}), ("list_models", {}), key=here.reader)

    assert [one.structured_content["code"] for one in (run, usage)] == ["forbidden_scope"] * 2
    assert (run.is_error, listed.is_error) == (True, False)
    assert len(here.jobs()) == before


def test_an_agent_that_calls_anew_runs_anew_and_one_that_starts_again_is_told_that_it_is_the_same(
    here: Installation,
) -> None:
    again = FOX | {"input": {"prompt": "a fox that comes again"}}
    first, second = tools(here, ("run_job", again), ("run_job", again))
    (restarted,) = tools(here, ("run_job", again))

    ids = [one.structured_content["id"] for one in (first, second, restarted)]
    assert (ids[0] != ids[1], ids[2] == ids[0]) == (True, True)
    assert "idempotency_key" in restarted.structured_content["note"]


def test_a_key_that_may_run_but_not_read_runs_nothing_by_an_agent(here: Installation) -> None:
    writer = here.fleet.shell(_KEYS.replace('["models:read"],', '["jobs:write"],')).splitlines()[-2].split()[0]
    before = len(here.jobs())

    (run,) = tools(here, ("run_job", FOX), key=writer)

    assert (run.is_error, run.structured_content["code"]) == (True, "forbidden_scope")
    assert "jobs:read" in run.structured_content["message"]
    assert len(here.jobs()) == before


def test_an_agent_is_told_what_is_wrong_with_its_arguments(here: Installation) -> None:
    shape, input = tools(here, ("run_job", {"model": IMAGE}), ("run_job", FOX | {"input": {"promt": "a fox"}}))

    assert (shape.is_error, shape.structured_content["code"]) == (True, "invalid_request")
    assert input.structured_content["code"] == "invalid_input"
    assert "prompt" in input.structured_content["message"]


def test_the_example_for_agents_runs_as_it_stands(here: Installation) -> None:
    command = [sys.executable, "-c", program(here.fleet.base_url, here.key, page="agents.md")]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"[0-9.]+ succeeded http\S+\n", done.stdout)
