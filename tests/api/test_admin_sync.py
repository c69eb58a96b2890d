"""The admin API of syncs: ask for one, watch it, list them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client as HttpClient

from catalog import discovery
from catalog.models import SyncRun
from genfeed.journal.models import AuditEvent
from tests.factories import make_provider

pytestmark = pytest.mark.django_db

SYNC = "/api/v1/admin/sync"


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the runs that a worker was asked to take."""
    runs: list[int] = []
    monkeypatch.setattr(discovery, "_enqueue", runs.append)
    return runs


def ask(client: HttpClient, **body: Any) -> HttpResponse:
    return client.post(SYNC, body, content_type="application/json")


def make_run(status: str = "succeeded", **columns: Any) -> SyncRun:
    return SyncRun.objects.create(provider=make_provider(), status=status, trigger="schedule", **columns)


def test_a_sync_is_queued_and_answered_with_202(
    admin_api: HttpClient, queued: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = admin_api.generic("POST", SYNC)

    assert answer.status_code == 202
    run = SyncRun.objects.get()
    assert answer.json() == {
        "id": run.pk,
        "provider": "fal",
        "status": "queued",
        "trigger": "api",
        "full": False,
        "requested_at": run.requested_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "started_at": None,
        "finished_at": None,
        "phase": "waiting for a worker",
        "done": 0,
        "total": 0,
        "listed": 0,
        "added": 0,
        "changed": 0,
        "updated": 0,
        "retired": 0,
        "failed": 0,
        "error": "",
        "revision": None,
    }
    assert run.requested_by == "API key default of Operator"
    assert queued == [run.pk]


def test_a_full_sync_can_be_asked_for(admin_api: HttpClient) -> None:
    answer = ask(admin_api, provider="fal", full=True)

    assert answer.json()["full"] is True
    assert SyncRun.objects.get().full is True


@pytest.mark.parametrize("status", ["queued", "running"])
def test_while_one_is_open_that_one_is_answered(
    admin_api: HttpClient, queued: list[int], django_capture_on_commit_callbacks: Any, status: str
) -> None:
    lease = {"lease_until": datetime(2999, 1, 1, tzinfo=UTC)} if status == "running" else {}
    run = make_run(status, **lease)

    with django_capture_on_commit_callbacks(execute=True):
        answer = ask(admin_api, full=True)

    assert answer.status_code == 202
    assert (answer.json()["id"], answer.json()["trigger"], answer.json()["full"]) == (run.pk, "schedule", False)
    assert SyncRun.objects.count() == 1
    assert queued == []


def test_a_finished_sync_is_followed_by_a_new_one(admin_api: HttpClient) -> None:
    old = make_run("failed")

    assert ask(admin_api).json()["id"] != old.pk
    assert SyncRun.objects.count() == 2


def test_asking_is_audited_once(admin_api: HttpClient) -> None:
    run_id = ask(admin_api).json()["id"]
    ask(admin_api)

    events = AuditEvent.objects.filter(action="sync.requested").values_list("actor_name", "object_id", "after")
    assert list(events) == [("API key default of Operator", str(run_id), {"full": False})]


@pytest.mark.once
@pytest.mark.parametrize("slug", ["nobody", "", "FAL"])
def test_an_unknown_provider_is_a_404_that_names_the_known(admin_api: HttpClient, queued: list[int], slug: str) -> None:
    answer = ask(admin_api, provider=slug)

    body = answer.json()
    assert (answer.status_code, body["code"]) == (404, "not_found")
    assert body["message"] == f"There is no provider {slug!r}. Registered providers: fal, replicate."
    assert SyncRun.objects.count() == 0
    assert queued == []


def test_unknown_fields_are_refused_by_name(admin_api: HttpClient) -> None:
    answer = ask(admin_api, ful=True)

    assert answer.status_code == 400
    assert answer.json()["details"]["problems"][0]["path"] == "ful"
    assert SyncRun.objects.count() == 0


def test_a_sync_is_shown_with_its_report(admin_api: HttpClient) -> None:
    run = make_run(
        listed=3, added=2, revision=7, report={"added": ["a/1", "b/2"]},
        started_at=datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=UTC),
        finished_at=datetime(2026, 11, 20, 12, 0, 3, tzinfo=UTC),
    )  # fmt: skip

    body = admin_api.get(f"{SYNC}/{run.pk}").json()

    assert (body["id"], body["status"], body["listed"], body["added"], body["revision"]) == (
        run.pk, "succeeded", 3, 2, 7,
    )  # fmt: skip
    assert (body["started_at"], body["finished_at"]) == ("2026-11-20T12:00:00.500Z", "2026-11-20T12:00:03.000Z")
    assert body["report"] == {"added": ["a/1", "b/2"]}


def test_a_failed_sync_says_why(admin_api: HttpClient) -> None:
    run = make_run("failed", error="fal.ai answered with HTML.")

    assert admin_api.get(f"{SYNC}/{run.pk}").json()["error"] == "fal.ai answered with HTML."


@pytest.mark.once
@pytest.mark.parametrize("run_id", ["0", "999999", "99999999999999999999999"])
def test_an_unknown_sync_is_a_404(admin_api: HttpClient, run_id: str) -> None:
    answer = admin_api.get(f"{SYNC}/{run_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["message"] == f"There is no sync {run_id}."


def test_the_newest_fifty_syncs_are_listed_without_their_reports(admin_api: HttpClient) -> None:
    for day in range(55):
        make_run(requested_at=datetime(2026, 1, 1, 0, day, tzinfo=UTC), report={"added": ["secret/report"]})

    answer = admin_api.get(SYNC)

    items = answer.json()["items"]
    assert len(items) == 50
    assert items[0]["requested_at"] == "2026-01-01T00:54:00.000Z"
    assert items == sorted(items, key=lambda item: item["requested_at"], reverse=True)
    assert b"secret/report" not in answer.content


def test_the_list_costs_the_same_however_many_syncs(admin_api: HttpClient, django_assert_num_queries: Any) -> None:
    for _ in range(20):
        make_run()
    admin_api.get(SYNC)

    with django_assert_num_queries(1):
        admin_api.get(SYNC)


@pytest.mark.parametrize("role", ["viewer", "finance"])
def test_a_role_that_only_looks_may_watch_but_not_start(staff: Callable[[str], HttpClient], role: str) -> None:
    run = make_run()
    client = staff(role)

    assert client.get(SYNC).status_code == 200
    assert client.get(f"{SYNC}/{run.pk}").status_code == 200
    answer = ask(client)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")
    assert "catalog.sync_provider" in answer.json()["message"]
    assert SyncRun.objects.count() == 1


def test_a_catalog_manager_may_start_one(staff: Callable[[str], HttpClient]) -> None:
    assert ask(staff("catalog manager")).status_code == 202
    assert SyncRun.objects.get().requested_by == "a catalog manager"


def test_a_client_s_key_may_neither_start_nor_watch(api: HttpClient) -> None:
    run = make_run()

    for answer in (ask(api), api.get(SYNC), api.get(f"{SYNC}/{run.pk}")):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_scope")
    assert SyncRun.objects.count() == 1
