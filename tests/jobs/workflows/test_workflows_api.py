"""Workflows over HTTP: sent once, read, listed, canceled, by those who may; webhooks and erasure."""

from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from genfeed.clients.keys import Caller
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.assets.retention import OpenJobsError, erase_client
from jobs.models import Job, WorkflowRun, WorkflowTemplate
from jobs.webhooks.fan_out import fan_out
from jobs.webhooks.models import WebhookDelivery, WebhookMessage
from jobs.workflows.canceling import cancel_workflow
from jobs.workflows.models import STATUSES
from pricing.money import format_usd
from tests.api.test_openapi import validator
from tests.jobs.doubles import make_caller
from tests.jobs.workflows.flows import (
    FILM,
    FILM_PRICE,
    PICTURE,
    PICTURE_PRICE,
    forward,
    http_of,
    job_of,
    lose,
    make_flow,
    send,
    succeed,
)

pytestmark = pytest.mark.django_db
BODY = {"steps": [PICTURE, FILM], "metadata": {"order": "7"}}


@pytest.fixture
def http(caller: Caller) -> HttpClient:
    return http_of(caller)


@pytest.mark.once
def test_the_answer_tells_the_plan_and_what_it_is_quoted_at(http: HttpClient) -> None:
    made = send(http, "/workflows", BODY, status=201)

    assert (made["status"], made["counts"]["waiting"], made["metadata"]) == ("running", 2, {"order": "7"})
    assert made["quote"]["price"] == format_usd(PICTURE_PRICE + FILM_PRICE)
    assert [step["status"] for step in made["steps"]] == ["waiting", "waiting"]
    assert "cost" not in made


@pytest.mark.once
def test_answers_are_as_the_document_says(http: HttpClient) -> None:
    document = HttpClient().get("/api/v1/openapi.json").json()
    made = send(http, "/workflows", BODY, status=201)
    succeed(job_of(forward(WorkflowRun.objects.get()), "picture"))
    forward(WorkflowRun.objects.get())
    template = {"name": "a", "parameters": {"b": {"type": "integer", "default": 1}}, "steps": [PICTURE]}
    one, saved = "/api/v1/workflows/{workflow_id}", "/api/v1/workflow-templates/{template_id}"
    answers = [
        ("post", "/api/v1/workflows", 201, made),
        ("get", one, 200, send(http, f"/workflows/{made['id']}", method="get")),
        ("get", "/api/v1/workflows", 200, send(http, "/workflows", method="get")),
        ("post", f"{one}/cancel", 200, send(http, f"/workflows/{made['id']}/cancel")),
        ("get", one, 404, send(http, "/workflows/wfl_none", method="get", status=404)),
        ("post", "/api/v1/workflow-templates", 201, send(http, "/workflow-templates", template, status=201)),
        ("get", "/api/v1/workflow-templates", 200, send(http, "/workflow-templates", method="get")),
        ("put", saved, 200, send(http, "/workflow-templates/a", {**template, "description": "c"}, method="put")),
    ]

    problems = {
        (method, path, status): [error.message for error in validator(document, method, path, status).iter_errors(told)]
        for method, path, status, told in answers
    }

    assert problems == {answer: [] for answer in problems}


def test_the_same_request_under_the_same_key_is_one_workflow(http: HttpClient) -> None:
    first = send(http, "/workflows", BODY, status=201, **{"Idempotency-Key": "a"})
    again = send(http, "/workflows", BODY, status=201, **{"Idempotency-Key": "a"})

    assert (first, WorkflowRun.objects.count()) == (again, 1)
    other = send(http, "/workflows", {"steps": [PICTURE]}, status=422, **{"Idempotency-Key": "a"})
    assert other["code"] == "idempotency_key_reused"


@pytest.mark.once
@pytest.mark.parametrize(
    "body",
    [{}, {"steps": [PICTURE], "template": "a"}, {"steps": [PICTURE], "params": {"a": 1}}, {"steps": []}],
)
def test_a_workflow_has_steps_or_a_template(http: HttpClient, body: dict[str, Any]) -> None:
    assert send(http, "/workflows", body, status=400)["code"] == "invalid_request"


@pytest.mark.once
def test_a_key_of_ones_own_for_one_request_is_refused(http: HttpClient) -> None:
    error = send(http, "/workflows", BODY, status=400, **{"X-Provider-Key": "secret"})

    assert "X-Provider-Key" in error["message"]
    assert "secret" not in str(error)


def test_a_workflow_shows_what_its_jobs_made_and_jobs_name_their_workflow(caller: Caller, http: HttpClient) -> None:
    run = forward(make_flow(caller))
    job = succeed(job_of(run, "picture"))
    forward(run)

    shown = send(http, f"/workflows/{run.pk}", method="get")

    (made,) = shown["steps"][0]["runs"]
    assert (made["job"], made["charge"]) == (job.pk, format_usd(PICTURE_PRICE))
    assert f"/assets/{made['assets'][0]['id']}/" in made["output"]["images"][0]["url"]
    listed = send(http, f"/jobs?workflow={run.pk}", method="get")["items"]
    assert {one["id"] for one in listed} == set(Job.objects.values_list("pk", flat=True))
    assert {one["workflow"] for one in listed} == {run.pk}


def test_workflows_are_listed_newest_first_and_narrowed(caller: Caller, http: HttpClient) -> None:
    first, second = make_flow(caller), make_flow(caller)
    forward(cancel_workflow(first))

    page = send(http, "/workflows?limit=1", method="get")
    rest = send(http, f"/workflows?limit=1&cursor={page['next_cursor']}", method="get")

    assert [one["id"] for one in page["items"] + rest["items"]] == [second.pk, first.pk]
    assert rest["next_cursor"] is None
    assert [one["id"] for one in send(http, "/workflows?status=canceled", method="get")["items"]] == [first.pk]
    assert send(http, "/workflows?template=wft_none", method="get")["items"] == []


@pytest.mark.once
def test_each_status_of_the_list_is_that_of_a_workflow(caller: Caller) -> None:
    make_flow(caller)
    cancel_workflow(make_flow(caller))
    forward(cancel_workflow(make_flow(caller)))
    for end in (succeed, lose):
        run = forward(make_flow(caller, PICTURE))
        end(job_of(run, "picture"))
        forward(run)

    found = {status: [run.status for run in WorkflowRun.objects.filter(these)] for status, these in STATUSES.items()}

    assert found == {status: [status] for status in STATUSES}


def test_a_cancel_over_http_ends_what_only_waited(http: HttpClient) -> None:
    made = send(http, "/workflows", BODY, status=201)

    canceled = send(http, f"/workflows/{made['id']}/cancel")

    assert (canceled["status"], canceled["counts"]["canceled"]) == ("canceled", 2)
    assert send(http, f"/workflows/{made['id']}/cancel")["status"] == "canceled"


def test_a_workflow_that_has_ended_is_not_canceled(caller: Caller, http: HttpClient) -> None:
    run = forward(make_flow(caller, PICTURE))
    succeed(job_of(run, "picture"))
    forward(run)

    assert send(http, f"/workflows/{run.pk}/cancel", status=409)["code"] == "conflict"


@pytest.mark.once
def test_a_workflow_is_unknown_to_other_clients(caller: Caller) -> None:
    run = make_flow(caller)
    other = http_of(make_caller(name="Beta"))

    assert send(other, f"/workflows/{run.pk}", method="get", status=404)["code"] == "not_found"
    assert send(other, f"/workflows/{run.pk}/cancel", status=404)["code"] == "not_found"
    assert send(other, "/workflows", method="get")["items"] == []


@pytest.mark.once
def test_a_key_that_may_only_read_starts_and_cancels_nothing(caller: Caller) -> None:
    run, reader = make_flow(caller), http_of(caller, "jobs:read")

    assert send(reader, "/workflows", BODY, status=403)["code"] == "forbidden_scope"
    assert send(reader, f"/workflows/{run.pk}/cancel", status=403)["code"] == "forbidden_scope"
    assert send(reader, f"/workflows/{run.pk}", method="get")["id"] == run.pk


@pytest.mark.once
def test_costs_are_for_staff(caller: Caller) -> None:
    run = forward(make_flow(caller, PICTURE))
    succeed(job_of(run, "picture"))

    shown = send(http_of(caller, "admin"), f"/workflows/{run.pk}", method="get")

    assert (shown["cost"], shown["steps"][0]["cost"]) == ("0.025", "0.025")


@pytest.mark.once
def test_its_own_address_is_told_of_the_end_of_a_workflow(caller: Caller) -> None:
    run = forward(make_flow(caller, PICTURE, webhook_url="https://example.com/hook"))
    lose(job_of(run, "picture"))
    forward(run)

    while fan_out():
        pass

    (delivery,) = WebhookDelivery.objects.all()
    assert (delivery.url, delivery.message.kind) == ("https://example.com/hook", "workflow.failed")
    data = orjson.loads(WebhookMessage.objects.get().body)["data"]
    assert (data["id"], data["counts"]["failed"], "steps" in data) == (run.pk, 1, False)


def test_an_erased_client_leaves_nothing_of_what_a_workflow_said(caller: Caller, http: HttpClient) -> None:
    parameters = {"subject": {"type": "string", "default": "secret"}}
    step = {**PICTURE, "input": {"prompt": {"$param": "subject"}}}
    send(http, "/workflow-templates", {"name": "a", "parameters": parameters, "steps": [step]}, status=201)
    run = WorkflowRun.objects.get(
        pk=send(http, "/workflows", {"template": "a", "metadata": {"a": "secret"}}, status=201)["id"]
    )
    client = Client.objects.get(pk=caller.client_id)
    with pytest.raises(OpenJobsError, match="workflows"):
        erase_client(client, actor=SYSTEM)
    lose(job_of(forward(run), "picture"))
    forward(run)

    erase_client(client, actor=SYSTEM)

    run.refresh_from_db()
    assert (run.status, run.params, run.metadata, run.plan[0]["input"]) == ("failed", {}, {}, {})
    assert run.plan[0]["metadata"] == {}
    assert not WorkflowTemplate.objects.exists()
