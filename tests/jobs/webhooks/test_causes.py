"""Every kind of event from its real cause to a real receiver: syncs of a provider, jobs, money, keys, people."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from catalog import published, sync_runs
from catalog.availability import switch_models
from catalog.models import AIModel
from genfeed import sync as whole
from genfeed.clients.keys import create_key
from genfeed.clients.models import ApiKey, Client
from genfeed.clients.rotation import remind_of_rotation
from genfeed.journal.audit import SYSTEM, Actor
from jobs.models import Job
from jobs.webhooks.kinds import KINDS
from jobs.workflows.advancing import advance_due
from pricing.ledger.accounts import set_terms
from pricing.models import PricePoint
from pricing.prices.decisions import accept
from tests.jobs.conftest import Run
from tests.jobs.doubles import USD, make_caller, make_job
from tests.jobs.webhooks.conftest import Listen
from tests.sandbox.receiver import Receiver
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.once]
FLUX, OTHER = "fal-ai/flux/dev", "fal-ai/flux/schnell"
Work = Callable[[], None]
Told = Callable[[str], dict[str, Any]]
Sync = Callable[[], None]


@pytest.fixture
def told(receiver: Receiver, work: Work) -> Told:
    """The data of the only message of a kind, once all are delivered."""

    def data(kind: str) -> dict[str, Any]:
        work()
        (body,) = [came.body for came in receiver.deliveries if came.body["type"] == kind]
        return body["data"]

    return data


# --- the catalog ---


@pytest.fixture
def shop(fal: RunningSandbox, receiver: Receiver, settings: Any, tmp_path: Path) -> RunningSandbox:
    """A provider with two models, which are on sale here."""
    settings.SSRF_ALLOW = [*settings.SSRF_ALLOW, receiver.url.split("/")[2]]
    file = tmp_path / "two.jsonl"
    file.write_text("".join(json.dumps(fal.model(one)) + "\n" for one in (FLUX, OTHER)))
    fal.load_catalog(file)
    return fal


@pytest.fixture
def sync_all(shop: RunningSandbox, work: Work) -> Sync:
    """One sync of catalog and prices, as the schedule runs it; begun with one that nobody is told of."""

    def run() -> None:
        row, _ = sync_runs.request_run(sync_runs.ensure_providers()["fal"], trigger="schedule")
        done = whole.sync_everything(row)
        assert done.status == "succeeded", done.error
        published.forget()

    run()
    assert AIModel.objects.filter(enabled=True).count() == 2
    work()
    return run


def fields_of(shop: RunningSandbox, patch: dict[str, Any]) -> None:
    """Changes fields of the model's input at the provider."""
    schemas = shop.model(FLUX)["openapi"]["components"]["schemas"]
    (name,) = [name for name in schemas if name.endswith("Input")]
    shop.patch_model(FLUX, touch=True, openapi_patch={"components": {"schemas": {name: {"properties": patch}}}})


def amounts(data: Any) -> set[str]:
    """Every text and number in it, at whatever depth."""
    if isinstance(data, dict):
        return set().union(*map(amounts, data.values())) if data else set()
    if isinstance(data, list):
        return set().union(*map(amounts, data)) if data else set()
    return {str(data)}


def test_model_added_a_sync_finds_and_prices_a_new_model(
    shop: RunningSandbox, sync_all: Sync, listen: Listen, told: Told
) -> None:
    listen(None, "model.*")
    row = shop.model(FLUX)
    paths = {path.replace(FLUX, "acme/new"): value for path, value in row["openapi"]["paths"].items()}
    shop.add_model({**row, "endpoint_id": "acme/new", "openapi": {**row["openapi"], "paths": paths}})

    sync_all()

    data = told("model.added")
    assert (data["id"], data["enabled"], data["price"]["amount"]) == ("acme/new", True, "0.083333333")
    assert "0.025" not in amounts(data)


def test_model_added_a_person_switches_a_model_on(
    sync_all: Sync, listen: Listen, told: Told, receiver: Receiver, work: Work
) -> None:
    listen(None, "model.*")
    switch_models([AIModel.objects.get(endpoint_id=FLUX)], on=False, actor=SYSTEM)
    work()
    assert receiver.deliveries == []

    switch_models([AIModel.objects.get(endpoint_id=FLUX)], on=True, actor=SYSTEM)

    assert told("model.added")["price"]["amount"] == "0.083333333"


def test_model_added_a_retired_model_comes_back(
    shop: RunningSandbox, sync_all: Sync, listen: Listen, told: Told
) -> None:
    row = shop.model(FLUX)
    shop.delete_model(FLUX)
    sync_all()
    sync_all()
    listen(None, "model.added")
    shop.add_model(row)

    sync_all()

    assert told("model.added")["status"] == "active"


def test_model_changed_a_sync_finds_a_new_field(
    shop: RunningSandbox, sync_all: Sync, listen: Listen, told: Told, receiver: Receiver
) -> None:
    listen(None, "model.*")
    fields_of(shop, {"sparkle": {"type": "boolean", "default": False}})

    sync_all()

    data = told("model.changed")
    assert (data["id"], data["schema_version"]) == (FLUX, 2)
    assert "sparkle" in json.dumps(data["changes"])
    assert len(receiver.deliveries) == 1


def test_model_schema_breaking_a_sync_finds_that_a_field_is_gone(
    shop: RunningSandbox, sync_all: Sync, listen: Listen, told: Told
) -> None:
    listen(None, "model.schema_breaking")
    fields_of(shop, {"seed": None})

    sync_all()

    data = told("model.schema_breaking")
    assert (data["id"], data["schema_version"]) == (FLUX, 2)
    assert "seed" in json.dumps(data["changes"])


def test_model_price_changed_a_sync_finds_another_price_and_clients_read_selling_prices_only(
    shop: RunningSandbox, sync_all: Sync, listen: Listen, told: Told
) -> None:
    listen(None, "model.*")
    shop.patch_model(FLUX, price={"unit_price": 0.03})

    sync_all()

    data = told("model.price_changed")
    assert (data["price"]["amount"], data["previous"]["amount"]) == ("0.1", "0.083333333")
    assert amounts(data).isdisjoint({"0.03", "0.025"})
    assert set(data) == {
        "id", "provider", "name", "category", "media_type", "status", "enabled", "price", "previous",
    }  # fmt: skip


def test_model_price_changed_comes_when_a_person_accepts_a_large_change_and_not_before(
    shop: RunningSandbox, sync_all: Sync, listen: Listen, told: Told, receiver: Receiver, work: Work
) -> None:
    listen(None, "model.*")
    shop.patch_model(FLUX, price={"unit_price": 0.25})
    sync_all()
    work()
    assert receiver.deliveries == []

    accept(PricePoint.objects.get(standing="held"), actor=Actor("a person"))

    assert told("model.price_changed")["price"]["amount"] == "0.833333333"


def test_model_retired_two_syncs_no_longer_find_the_model(
    shop: RunningSandbox, sync_all: Sync, listen: Listen, told: Told, receiver: Receiver, work: Work
) -> None:
    listen(None, "model.*")
    shop.delete_model(FLUX)
    sync_all()
    work()
    assert receiver.deliveries == []

    sync_all()

    assert (told("model.retired")["id"], told("model.retired")["status"]) == (FLUX, "retired")


# --- jobs ---


@pytest.fixture
def job_events(sandbox: RunningSandbox, receiver: Receiver, settings: Any, listen: Listen) -> RunningSandbox:
    """A provider that runs jobs, and a client that is told of them."""
    settings.SSRF_ALLOW = [*settings.SSRF_ALLOW, receiver.url.split("/")[2]]
    listen(Client.objects.get(pk=make_caller().client_id), "job.*", "balance.*", "budget.*")
    return sandbox


def test_job_queued_a_job_is_accepted(job_events: RunningSandbox, told: Told) -> None:
    job = make_job(make_caller())

    data = told("job.queued")
    assert (data["id"], data["status"], data["charge"]) == (job.pk, "queued", None)


def test_job_started_the_provider_begins_to_work(job_events: RunningSandbox, run: Run, told: Told) -> None:
    job_events.faults(processing_ms=60_000)
    job = run(lambda job: job.status == "running")

    assert (told("job.started")["id"], told("job.started")["status"]) == (job.pk, "running")


def test_job_succeeded_a_job_is_done(job_events: RunningSandbox, run: Run, told: Told) -> None:
    job = run()

    data = told("job.succeeded")
    assert (data["id"], data["status"]) == (job.pk, "succeeded")
    assert data["output"]["images"]
    assert data["charge"]
    assert "cost" not in data


def test_job_failed_the_provider_can_not_do_it(job_events: RunningSandbox, run: Run, told: Told) -> None:
    job_events.faults(jobs=[{"error": {"status": 422, "error_type": "content_policy_violation"}}])
    job = run()

    data = told("job.failed")
    assert (data["id"], data["status"], data["error"]["code"]) == (job.pk, "failed", "content_refused")


def test_job_canceled_a_client_cancels_it(job_events: RunningSandbox, told: Told) -> None:
    caller = make_caller()
    job = make_job(caller)
    _, text = create_key(Client.objects.get(pk=caller.client_id), actor=SYSTEM, scopes=["jobs:write"])

    answer = HttpClient(headers={"authorization": f"Bearer {text}"}).post(f"/api/v1/jobs/{job.pk}/cancel")

    assert answer.status_code == 200
    assert (told("job.canceled")["id"], told("job.canceled")["status"]) == (job.pk, "canceled")


# --- batches ---


def post_batch(key: HttpClient) -> str:
    body = {"model": FLUX, "items": [{"input": {"prompt": "a fox"}}, {"input": {"prompt": "a hare"}}]}
    answer = key.post("/api/v1/batches", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


@pytest.fixture
def batches(job_events: RunningSandbox, listen: Listen) -> HttpClient:
    client = Client.objects.get(pk=make_caller().client_id)
    listen(client, "batch.*")
    _, text = create_key(client, actor=SYSTEM, scopes=["jobs:write"])
    return HttpClient(headers={"authorization": f"Bearer {text}"})


def test_batch_created_items_of_a_batch_are_accepted(batches: HttpClient, told: Told) -> None:
    batch = post_batch(batches)

    assert (told("batch.created")["id"], told("batch.created")["counts"]["queued"]) == (batch, 2)


def test_batch_completed_its_last_job_is_done(batches: HttpClient, run: Run, told: Told) -> None:
    batch = post_batch(batches)

    for job in Job.objects.filter(batch=batch):
        run(job=job)

    data = told("batch.completed")
    assert (data["id"], data["counts"]["succeeded"]) == (batch, 2)


def test_batch_canceled_a_client_cancels_it(batches: HttpClient, told: Told) -> None:
    batch = post_batch(batches)

    assert batches.post(f"/api/v1/batches/{batch}/cancel").status_code == 200

    data = told("batch.canceled")
    assert (data["id"], data["counts"]["canceled"]) == (batch, 2)


# --- workflows ---


def post_workflow(key: HttpClient) -> str:
    body = {"steps": [{"name": "picture", "model": FLUX, "input": {"prompt": "a fox"}}]}
    answer = key.post("/api/v1/workflows", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    advance_due(now=True)
    return str(answer.json()["id"])


@pytest.fixture
def workflows(job_events: RunningSandbox, listen: Listen) -> HttpClient:
    client = Client.objects.get(pk=make_caller().client_id)
    listen(client, "workflow.*")
    _, text = create_key(client, actor=SYSTEM, scopes=["jobs:write"])
    return HttpClient(headers={"authorization": f"Bearer {text}"})


def test_workflow_created_a_client_sends_one(workflows: HttpClient, told: Told) -> None:
    workflow = post_workflow(workflows)

    data = told("workflow.created")
    assert (data["id"], data["counts"]["running"], "cost" in data) == (workflow, 1, False)


def test_workflow_succeeded_its_last_step_is_done(workflows: HttpClient, run: Run, told: Told) -> None:
    workflow = post_workflow(workflows)

    run(job=Job.objects.get(workflow=workflow))
    advance_due(now=True)

    data = told("workflow.succeeded")
    assert (data["id"], data["counts"]["succeeded"]) == (workflow, 1)


def test_workflow_failed_a_step_of_it_fails(
    workflows: HttpClient, job_events: RunningSandbox, run: Run, told: Told
) -> None:
    job_events.faults(jobs=[{"error": {"status": 422, "error_type": "content_policy_violation"}}])
    workflow = post_workflow(workflows)

    run(job=Job.objects.get(workflow=workflow))
    advance_due(now=True)

    data = told("workflow.failed")
    assert (data["id"], data["counts"]["failed"]) == (workflow, 1)


def test_workflow_canceled_a_client_cancels_it(workflows: HttpClient, told: Told) -> None:
    workflow = post_workflow(workflows)

    assert workflows.post(f"/api/v1/workflows/{workflow}/cancel").status_code == 200
    advance_due(now=True)

    data = told("workflow.canceled")
    assert (data["id"], data["counts"]["canceled"]) == (workflow, 1)


# --- money and keys ---


def test_balance_low_the_charge_of_a_job_takes_the_balance_below_its_threshold(
    job_events: RunningSandbox, run: Run, told: Told
) -> None:
    caller = make_caller(usd=10)
    set_terms(caller.client_id, actor=SYSTEM, low_balance=10 * USD - 1)

    run()

    data = told("balance.low")
    assert (data["threshold"], data["currency"]) == ("9.999999999", "USD")
    assert float(data["available"]) < 10


def test_budget_threshold_reached_the_charge_of_a_job_crosses_it(
    job_events: RunningSandbox, run: Run, told: Told
) -> None:
    client = Client.objects.get(pk=make_caller().client_id)
    _, text = create_key(client, actor=SYSTEM, scopes=["budgets"])
    http = HttpClient(headers={"authorization": f"Bearer {text}"})
    asked = {"budgets": [{"period": "day", "limit": "0.10", "thresholds": [80]}]}
    answer = http.put("/api/v1/budgets", asked, content_type="application/json")
    assert answer.status_code == 200, answer.content

    run()

    data = told("budget.threshold_reached")
    assert (data["threshold"], data["limit"]) == (80, "0.1")


def test_api_key_rotation_due_a_key_has_grown_old(listen: Listen, told: Told) -> None:
    client = Client.objects.create(name="Acme")
    listen(client, "api_key.*")
    key, _ = create_key(client, actor=SYSTEM, scopes=["models:read"])
    ApiKey.objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(days=91))

    remind_of_rotation()

    data = told("api_key.rotation_due")
    assert (data["id"], data["age_days"]) == (key.public_id, 91)


def test_every_kind_has_a_test_from_its_cause() -> None:
    names = [name for name in globals() if name.startswith("test_")]

    missing = [kind for kind in KINDS if not any(name.startswith(f"test_{kind.replace('.', '_')}") for name in names)]
    assert missing == []
