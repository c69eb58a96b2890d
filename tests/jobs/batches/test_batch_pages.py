"""Batches in the admin: found, read, and canceled by those who may."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as HttpClient

from genfeed.clients.keys import create_key, find_caller
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from jobs.accepting.accept import Wanted
from jobs.batches.accepting import WantedBatch, accept_batch
from jobs.batches.models import Batch
from jobs.models import Job
from tests.admin.pages import read
from tests.jobs.doubles import make_caller, make_job
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

pytestmark = pytest.mark.django_db
Staff = Callable[[str], HttpClient]
LIST = "/admin/jobs/batch/"


@pytest.fixture
def batch() -> Batch:
    make_sold(outputs=IMAGES_OUT)
    fox, bad = Wanted("fal-ai/flux/dev", {"prompt": "a fox"}), Wanted("fal-ai/flux/dev", {"prompt": "a", "secret": 1})
    return accept_batch(WantedBatch([fox, bad, fox]), make_caller())


def test_a_batch_is_listed_with_its_counts(staff: Staff, batch: Batch) -> None:
    text = read(staff("viewer"), LIST).text

    assert batch.pk in text
    assert "3: 2 queued, 1 refused" in text


def test_the_list_costs_the_same_however_long_it_is(
    staff: Staff, batch: Batch, django_assert_max_num_queries: Callable[..., object]
) -> None:
    client = staff("superuser")
    for _ in range(9):
        accept_batch(WantedBatch([Wanted("fal-ai/flux/dev", {"prompt": "a fox"})]), make_caller())

    with django_assert_max_num_queries(12):
        client.get(LIST)


@pytest.mark.once
def test_a_status_narrows_the_list(staff: Staff, batch: Batch) -> None:
    client = staff("viewer")

    assert batch.pk in read(client, f"{LIST}?status=running").text
    assert batch.pk not in read(client, f"{LIST}?status=canceled").text


@pytest.mark.once
def test_batches_of_test_keys_are_marked_and_told_apart(staff: Staff, batch: Batch, settings: Any) -> None:
    settings.TEST_SANDBOX_URL = "http://127.0.0.1:9"
    _, text = create_key(batch.client, actor=SYSTEM, scopes=["jobs:write"], is_test=True)
    tester = find_caller(text)
    assert tester is not None
    test = accept_batch(WantedBatch([Wanted("fal-ai/flux/dev", {"prompt": "a fox"})]), tester)
    client = staff("viewer")

    def shown(query: str) -> set[str]:
        text = read(client, f"{LIST}{query}").text
        return {one.pk for one in (batch, test) if one.pk in text}

    assert (shown(""), shown("?mode=live"), shown("?mode=test")) == ({batch.pk, test.pk}, {batch.pk}, {test.pk})
    assert 'data-testid="batch-test"' in client.get(f"{LIST}{test.pk}/change/").content.decode()
    assert 'data-testid="batch-test"' not in client.get(f"{LIST}{batch.pk}/change/").content.decode()


@pytest.mark.once
def test_a_page_tells_of_its_items_and_leads_to_its_jobs(staff: Staff, batch: Batch) -> None:
    single = make_job(make_caller())
    client = staff("viewer")

    page = read(client, f"{LIST}{batch.pk}/change/")

    assert "unknown_field" in page.text
    jobs = read(client, f"/admin/jobs/job/?batch={batch.pk}").text
    assert all(job.pk in jobs for job in Job.objects.filter(batch=batch))
    assert single.pk not in jobs
    job = Job.objects.filter(batch=batch).order_by("batch_index").last()
    assert job
    assert f"item 2 of batch {batch.pk}" in read(client, f"/admin/jobs/job/{job.pk}/change/").text


@pytest.mark.once
def test_why_an_item_was_refused_is_hidden_without_the_permission(staff: Staff, batch: Batch) -> None:
    client = staff("viewer")
    assert "secret" not in read(client, f"{LIST}{batch.pk}/change/").text

    User.objects.get(username="a viewer").user_permissions.add(Permission.objects.get(codename="view_job_input"))
    assert "secret" in read(client, f"{LIST}{batch.pk}/change/").text


@pytest.mark.once
@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("catalog manager", True), ("finance", True)])
def test_a_batch_is_canceled_by_roles_that_may(staff: Staff, batch: Batch, role: str, may: bool) -> None:
    answer = staff(role).post(f"{LIST}{batch.pk}/cancel/", {"reason": "asked for"})

    batch.refresh_from_db()
    assert (answer.status_code, batch.status) == ((302, "canceled") if may else (403, "running"))
    audit = list(AuditEvent.objects.filter(object_id=batch.pk).values_list("action", "reason"))
    assert audit == ([("batch.canceled", "asked for")] if may else [])
