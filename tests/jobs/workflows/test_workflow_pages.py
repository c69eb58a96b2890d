"""Workflows in the admin: found, read, and canceled by those who may."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as HttpClient

from genfeed.clients.keys import Caller
from genfeed.journal.models import AuditEvent
from jobs.models import WorkflowRun
from tests.admin.pages import read
from tests.jobs.workflows.flows import PICTURE, forward, http_of, job_of, lose, make_flow, send

pytestmark = pytest.mark.django_db
Staff = Callable[[str], HttpClient]
LIST = "/admin/jobs/workflowrun/"


@pytest.fixture
def run(caller: Caller) -> WorkflowRun:
    return forward(make_flow(caller))


def test_a_workflow_is_listed_with_its_counts(staff: Staff, run: WorkflowRun) -> None:
    text = read(staff("viewer"), LIST).text

    assert run.pk in text
    assert "1 waiting, 1 running" in text


def test_the_list_costs_the_same_however_long_it_is(
    staff: Staff, run: WorkflowRun, caller: Caller, django_assert_max_num_queries: Callable[..., object]
) -> None:
    client = staff("superuser")
    for _ in range(9):
        make_flow(caller)

    with django_assert_max_num_queries(12):
        client.get(LIST)


@pytest.mark.once
def test_a_status_narrows_the_list(staff: Staff, run: WorkflowRun) -> None:
    client = staff("viewer")

    assert run.pk in read(client, f"{LIST}?status=running").text
    assert run.pk not in read(client, f"{LIST}?status=failed").text


@pytest.mark.once
def test_workflows_of_test_keys_are_told_apart(staff: Staff, run: WorkflowRun, caller: Caller, settings: Any) -> None:
    settings.TEST_SANDBOX_URL = "http://127.0.0.1:9"
    send(http_of(caller, is_test=True), "/workflows", {"steps": [PICTURE]}, status=201)
    test = WorkflowRun.objects.exclude(pk=run.pk).get()
    client = staff("viewer")

    def shown(query: str) -> set[str]:
        text = read(client, f"{LIST}{query}").text
        return {one.pk for one in (run, test) if one.pk in text}

    assert (shown(""), shown("?mode=live"), shown("?mode=test")) == ({run.pk, test.pk}, {run.pk}, {test.pk})


@pytest.mark.once
def test_a_page_tells_of_its_steps_and_leads_to_their_jobs(staff: Staff, run: WorkflowRun) -> None:
    client = staff("viewer")
    job = job_of(run, "picture")

    page = read(client, f"{LIST}{run.pk}/change/")

    assert f"/admin/jobs/job/{job.pk}/change/" in {link.attributes.get("href") for link in page.all("a")}
    assert "fal-ai/film" in page.text
    assert job.pk in read(client, f"/admin/jobs/job/?workflow={run.pk}").text
    assert f"of workflow {run.pk}" in read(client, f"/admin/jobs/job/{job.pk}/change/").text


@pytest.mark.once
def test_why_a_step_failed_is_hidden_without_the_permission(staff: Staff, run: WorkflowRun) -> None:
    lose(job_of(run, "picture"))
    forward(run)
    client, words = staff("viewer"), "because run 0 of step"
    assert words not in read(client, f"{LIST}{run.pk}/change/").text

    User.objects.get(username="a viewer").user_permissions.add(Permission.objects.get(codename="view_job_input"))
    assert words in read(client, f"{LIST}{run.pk}/change/").text


@pytest.mark.once
@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("catalog manager", True), ("finance", True)])
def test_a_workflow_is_canceled_by_roles_that_may(staff: Staff, run: WorkflowRun, role: str, may: bool) -> None:
    answer = staff(role).post(f"{LIST}{run.pk}/cancel/", {"reason": "asked for"})

    run.refresh_from_db()
    assert (answer.status_code, run.status) == ((302, "canceled") if may else (403, "running"))
    audit = list(AuditEvent.objects.filter(object_id=run.pk).values_list("action", "reason"))
    assert audit == ([("workflow.canceled", "asked for")] if may else [])
