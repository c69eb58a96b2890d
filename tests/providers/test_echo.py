"""A third provider, in a test alone: discovered, priced, sold, run and told of by the same code as all others."""

import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from catalog import sync_runs
from catalog.models import AIModel
from catalog.providers import base, queue
from genfeed.clients.errors import ApiError
from genfeed.sync import sync_everything
from jobs.accepting.accept import Wanted, accept
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job
from tests.jobs.doubles import make_caller, money
from tests.providers import echo

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[ThreadingHTTPServer]:
    """Echo, known to this installation for one test."""
    settings.PUBLIC_URL = "https://media.example"
    monkeypatch.setattr(base, "_registry", dict(base._registry))
    for name in ("_registry", "_has_key", "_terms"):
        monkeypatch.setattr(queue, name, dict(getattr(queue, name)))
    with echo.company() as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        base.register("echo", "Echo", lambda: echo.Echo(url), key_setting="ECHO_KEY")
        terms = queue.Terms(key_setting="ECHO_KEY", most_at_once=lambda: 2, verify=echo.verify)
        queue.register("echo", lambda key: echo.EchoQueue(url, key or echo.KEY), lambda: True, terms)
        yield server


@pytest.fixture
def known(company: ThreadingHTTPServer) -> ThreadingHTTPServer:
    """Its catalog and its prices are read."""
    run, _ = sync_runs.request_run(sync_runs.ensure_providers()["echo"], trigger="command")
    assert sync_everything(run).status == "succeeded"
    return company


def accepted(prompt: str = "a fox") -> Job:
    return accept(Wanted(model="echo/draw", input={"prompt": prompt}), make_caller())


def work(job: Job, until: Any = lambda job: job.has_ended) -> Job:
    """Lets a dispatcher work until the job has ended."""
    dispatcher, deadline = Dispatcher(threads=2), time.monotonic() + 20
    try:
        while not until(job):
            assert time.monotonic() < deadline, f"{job.status}: {job.error}"
            if not dispatcher.tick():
                time.sleep(0.01)
            job.refresh_from_db()
    finally:
        dispatcher.drain()
    return job


def test_its_models_are_found_priced_and_sold(known: ThreadingHTTPServer) -> None:
    model = AIModel.objects.get(provider__slug="echo")

    assert (model.endpoint_id, model.enabled, model.media_type, model.upstream_version) == (
        "echo/draw", True, "image", "v7",
    )  # fmt: skip
    assert model.price["amount"] == "0.05"


def test_a_job_runs_at_it_once_and_is_charged_by_what_it_billed(known: ThreadingHTTPServer) -> None:
    job = work(accepted())

    (asked,) = known.runs  # type: ignore[attr-defined]
    assert (job.status, job.provider, job.cost_source) == ("succeeded", "echo", "billable_units")
    assert (job.cost, job.charge) == (15_000_000, 50_000_000)
    assert (asked["input"], asked["version"]) == ({"prompt": "a fox"}, "v7")
    assert asked["tell"] == f"https://media.example/webhooks/echo/{job.pk}/{job.token}"


def test_what_it_refuses_fails_in_its_own_words_and_costs_nothing(known: ThreadingHTTPServer) -> None:
    job = work(accepted("no"))

    assert job.error["code"] == "provider_rejected_input"
    assert "I do not draw that" in job.error["message"]
    assert money(job) == (10_000_000_000, 0, 0)


def test_its_webhook_has_the_job_looked_at_and_a_forged_one_is_refused(
    known: ThreadingHTTPServer, client: HttpClient
) -> None:
    job = work(accepted(), lambda job: bool(job.request_id))
    headers, body = echo.webhook(int(job.request_id))
    address = f"/webhooks/echo/{job.pk}/{job.token}"
    before = job.version

    forged = client.post(address, body, content_type="application/json", headers={"X-Echo-Signature": "0" * 64})
    genuine = client.post(address, body, content_type="application/json", headers=headers)

    job.refresh_from_db()
    assert (forged.status_code, genuine.status_code, orjson.loads(genuine.content)) == (401, 200, {"detail": "noted"})
    assert job.version > before or job.has_ended


def test_a_job_can_t_be_told_of_by_another_provider(known: ThreadingHTTPServer, client: HttpClient) -> None:
    job = work(accepted(), lambda job: bool(job.request_id))
    Job.objects.filter(pk=job.pk).update(provider="fal")
    headers, body = echo.webhook(int(job.request_id))

    answer = client.post(f"/webhooks/echo/{job.pk}/{job.token}", body, content_type="application/json", headers=headers)

    assert orjson.loads(answer.content) == {"detail": "unknown"}


def test_a_provider_that_nobody_knows_has_no_webhooks(client: HttpClient) -> None:
    assert client.post("/webhooks/nobody/job/token", b"{}", content_type="application/json").status_code == 404


def test_without_a_key_the_setting_that_lacks_is_named(
    known: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(queue._has_key, "echo", lambda: False)

    with pytest.raises(ApiError) as refused:
        accepted()

    assert "ECHO_KEY" in refused.value.hint
