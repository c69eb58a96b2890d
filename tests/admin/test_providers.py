"""The provider's page: Sync now with its progress, the count of models, the connection and its key."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.utils import timezone
from django_q.models import OrmQ

from catalog import sync_runs
from catalog.models import AIModel, Provider, SyncRun
from genfeed.journal.models import AuditEvent
from genfeed.sync import run_queued_sync
from tests.admin.pages import Page, page_of, read
from tests.factories import make_model, make_provider

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PROVIDERS = "/admin/catalog/provider/"
KEY = "0a1b2c3d-key:very-secret-part"
Staff = Callable[[str], HttpClient]


@pytest.fixture
def provider(db: None) -> Provider:
    return make_provider()


@pytest.fixture
def manager(staff: Staff) -> HttpClient:
    return staff("catalog manager")


def url(provider: Provider, what: str = "change") -> str:
    return f"{PROVIDERS}{provider.pk}/{what}/"


def show(client: HttpClient, provider: Provider) -> Page:
    return read(client, url(provider))


def make_run(provider: Provider, status: str = "succeeded", **columns: Any) -> SyncRun:
    now = timezone.now()
    finished = {"started_at": now, "finished_at": now} if status in ("succeeded", "failed") else {}
    return SyncRun.objects.create(provider=provider, status=status, trigger="schedule", **(finished | columns))


def progress(client: HttpClient, provider: Provider) -> dict[str, Any]:
    answer = client.get(url(provider, "progress"))
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


# --- Sync now ---


def test_sync_now_asks_for_one_sync_in_the_name_of_the_person(manager: HttpClient, provider: Provider) -> None:
    answer = manager.post(url(provider, "sync"))

    assert answer.headers["Location"] == url(provider)
    run = SyncRun.objects.get()
    assert (run.status, run.trigger, run.requested_by, run.full) == ("queued", "admin", "a catalog manager", False)


def test_the_sync_is_handed_to_a_worker_once_it_is_committed(
    manager: HttpClient, provider: Provider, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        manager.post(url(provider, "sync"))
        assert OrmQ.objects.count() == 0

    assert [task.func() for task in OrmQ.objects.all()] == ["genfeed.sync.run_queued_sync"]


def test_a_sync_that_was_asked_for_is_audited(manager: HttpClient, provider: Provider) -> None:
    manager.post(url(provider, "sync"))

    event = AuditEvent.objects.get()
    assert (event.action, event.actor_name, event.after) == ("sync.requested", "a catalog manager", {"full": False})
    assert (event.object_type, event.object_id) == ("catalog.syncrun", str(SyncRun.objects.get().pk))


def test_a_second_press_joins_the_open_sync(manager: HttpClient, provider: Provider) -> None:
    manager.post(url(provider, "sync"))

    answer = manager.post(url(provider, "sync"), follow=True)

    assert SyncRun.objects.count() == AuditEvent.objects.count() == 1
    assert page_of(answer).messages == ["A sync is already open; this is its progress."]


def test_every_schema_is_fetched_again_where_that_is_ticked(manager: HttpClient, provider: Provider) -> None:
    box = show(manager, provider).one("input", type="checkbox").attributes["name"]

    manager.post(url(provider, "sync"), {box: "on"})

    assert SyncRun.objects.get().full


def test_a_sync_whose_process_died_does_not_block_the_button(manager: HttpClient, provider: Provider) -> None:
    make_run(provider, "running", lease_until=timezone.now() - timedelta(seconds=1))

    manager.post(url(provider, "sync"))

    assert list(SyncRun.objects.values_list("status", flat=True)) == ["queued", "failed"]


def test_a_sync_without_token_is_refused(manager: HttpClient, provider: Provider) -> None:
    manager.handler.enforce_csrf_checks = True

    assert manager.post(url(provider, "sync")).status_code == 403
    assert SyncRun.objects.count() == 0


@pytest.mark.parametrize("what", ["sync", "check-key"])
def test_looking_at_the_address_of_a_button_starts_nothing(manager: HttpClient, provider: Provider, what: str) -> None:
    assert manager.get(url(provider, what)).status_code == 405
    assert SyncRun.objects.count() == AuditEvent.objects.count() == 0


@pytest.mark.parametrize("role", ["viewer", "finance"])
@pytest.mark.parametrize("what", ["sync", "check-key"])
def test_who_may_not_sync_is_refused(staff: Staff, provider: Provider, what: str, role: str) -> None:
    assert staff(role).post(url(provider, what)).status_code == 403
    assert SyncRun.objects.count() == AuditEvent.objects.count() == 0


def test_who_may_not_sync_sees_no_buttons(staff: Staff, provider: Provider) -> None:
    page = show(staff("viewer"), provider)

    actions = [form.attributes.get("action", "") for form in page.all("form")]
    assert [action for action in actions if action.startswith(PROVIDERS)] == []


# --- progress and result ---


def test_a_provider_that_was_never_synced_says_what_to_do(manager: HttpClient, provider: Provider) -> None:
    page = show(manager, provider)

    assert page.one("button", data_testid="sync-fal-models").text == "Sync now"
    assert not page.has(data_testid="models-count")
    assert "Press Sync now." in page.text
    assert progress(manager, provider) == {"open": False}


@pytest.mark.parametrize("status", ["queued", "running"])
def test_while_a_sync_is_open_there_is_progress_instead_of_a_count(
    manager: HttpClient, provider: Provider, status: str
) -> None:
    make_run(provider, "succeeded")
    make_run(provider, status, lease_until=timezone.now() + timedelta(minutes=1), phase="listing")

    page = show(manager, provider)

    assert not page.has(data_testid="models-count")
    assert page.one("div", id="sync-progress").attributes["data-url"] == url(provider, "progress")
    assert "disabled" in page.one("button", data_testid="sync-fal-models").attributes


def test_progress_tells_the_phase_and_how_far_it_is(manager: HttpClient, provider: Provider) -> None:
    lease_until = timezone.now() + timedelta(minutes=1)
    make_run(provider, "running", lease_until=lease_until, phase="schemas", done=120, total=900)

    assert progress(manager, provider) == {
        "open": True, "status": "running", "phase": "schemas", "done": 120, "total": 900,
    }  # fmt: skip


def test_a_sync_that_no_worker_takes_says_so_after_a_while(manager: HttpClient, provider: Provider) -> None:
    make_run(provider, "queued", requested_at=timezone.now() - timedelta(seconds=20))

    assert "is the worker process running?" in progress(manager, provider)["phase"]


def test_progress_ends_where_the_process_of_a_sync_died(manager: HttpClient, provider: Provider) -> None:
    make_run(provider, "running", lease_until=timezone.now() - timedelta(seconds=1))

    assert (progress(manager, provider)["open"], SyncRun.objects.get().status) == (False, "failed")


@pytest.mark.parametrize("role", ["viewer", "finance"])
def test_everybody_who_sees_the_provider_sees_progress(staff: Staff, provider: Provider, role: str) -> None:
    assert progress(staff(role), provider) == {"open": False}


def test_progress_is_for_staff_only(client: HttpClient, provider: Provider) -> None:
    assert client.get(url(provider, "progress")).headers["Location"].startswith("/admin/login/")


def test_after_a_pressed_sync_has_run_the_count_appears(some_fal: Any, manager: HttpClient, provider: Provider) -> None:
    manager.post(url(provider, "sync"))

    run_queued_sync(SyncRun.objects.get().pk)

    page = show(manager, provider)
    assert int(page.one(data_testid="models-count").text) == AIModel.objects.count() > 50
    assert progress(manager, provider)["status"] == "succeeded"
    assert "disabled" not in page.one("button", data_testid="sync-fal-models").attributes


def test_retired_models_are_not_counted(manager: HttpClient, provider: Provider) -> None:
    make_run(provider)
    make_model("a")
    make_model("b", switch="off")
    make_model("c", status="retired")
    make_model("d", provider="replicate")

    page = show(manager, provider)

    assert page.one(data_testid="models-count").text == "2"
    assert "2 models, 1 of them enabled." in page.text


def test_a_failed_sync_says_why_and_that_the_last_good_catalog_is_served(
    manager: HttpClient, provider: Provider
) -> None:
    make_run(provider)
    make_model()
    make_run(provider, "failed", error="fal.ai at <host> answered 503.")

    page = show(manager, provider)

    assert page.one("p", "errornote").text == (
        "The newest sync failed; the last good catalog is served. fal.ai at <host> answered 503."
    )
    assert page.one(data_testid="models-count").text == "1"


@pytest.mark.parametrize(("hours", "is_late"), [(6, False), (8, True)])
def test_a_catalog_is_late_after_seven_hours(
    manager: HttpClient, provider: Provider, hours: int, is_late: bool
) -> None:
    make_run(provider, finished_at=timezone.now() - timedelta(hours=hours))

    assert ("late: one should run every six hours" in show(manager, provider).text) is is_late


def test_the_ten_latest_syncs_are_linked(manager: HttpClient, provider: Provider) -> None:
    runs = [make_run(provider) for _ in range(12)]

    links = [link.attributes["href"] for link in show(manager, provider).all("a")]

    reports = [link for link in links if link.startswith("/admin/catalog/syncrun/") and link.endswith("/change/")]
    assert reports == [f"/admin/catalog/syncrun/{run.pk}/change/" for run in reversed(runs[2:])]


# --- the key ---


def check_key(client: HttpClient, provider: Provider) -> Page:
    answer = client.post(url(provider, "check-key"), follow=True)
    assert answer.status_code == 200
    return page_of(answer)


def test_a_valid_key_is_called_valid(fal: Any, manager: HttpClient, provider: Provider) -> None:
    page = check_key(manager, provider)

    assert "Valid fal accepts the key." in page.text
    assert page.has("span", "gf-good")


def test_a_key_that_fal_refuses_is_called_invalid_with_what_to_do(
    fal: Any, manager: HttpClient, provider: Provider, settings: Any
) -> None:
    settings.FAL_KEY = KEY

    page = check_key(manager, provider)

    assert "Invalid fal refuses this key. Make a new one at fal.ai/dashboard/keys and set FAL_KEY." in page.text
    assert page.one("span", "gf-bad").text == "Invalid"


def test_a_missing_key_is_a_state_with_what_to_do(manager: HttpClient, provider: Provider, settings: Any) -> None:
    settings.FAL_KEY = ""

    page = check_key(manager, provider)

    assert "not configured The catalog works without a key, generation does not." in page.text
    assert "No key is set. Put FAL_KEY=… into the environment or into .env and restart." in page.text


def test_a_key_that_could_not_be_checked_says_what_happened(manager: HttpClient, provider: Provider) -> None:
    page = check_key(manager, provider)

    assert "could not be checked The key could not be checked. fal.ai at 127.0.0.1:9 can't be reached" in page.text


def test_the_text_of_a_key_is_nowhere_on_a_page_or_in_the_audit(
    fal: Any, root: HttpClient, provider: Provider, settings: Any
) -> None:
    settings.FAL_KEY = KEY
    pages = [check_key(root, provider)]

    pages += [read(root, address) for address in ("/admin/", PROVIDERS, url(provider), url(provider, "history"))]

    assert [page.html for page in pages if "very-secret-part" in page.html or "0a1b2c3d" in page.html] == []
    assert "very-secret-part" not in str(list(AuditEvent.objects.values()))


def test_a_check_of_the_key_is_audited(fal: Any, manager: HttpClient, provider: Provider) -> None:
    check_key(manager, provider)

    event = AuditEvent.objects.get()
    assert (event.action, event.actor_name, event.after) == (
        "provider.key_checked", "a catalog manager", {"key_state": "valid"},
    )  # fmt: skip


# --- addresses ---


@pytest.mark.parametrize(
    ("short", "target"),
    [("models", "/admin/catalog/aimodel/"), ("providers", "{provider}"), ("sync", "{provider}")],
)
@pytest.mark.parametrize("role", ["superuser", "viewer"])
def test_short_addresses_lead_to_the_pages(
    staff: Staff, provider: Provider, short: str, target: str, role: str
) -> None:
    answer = staff(role).get(f"/admin/{short}")

    assert answer.headers["Location"] == target.format(provider=url(provider))


def test_the_short_address_makes_the_row_of_a_provider_that_was_never_seen(root: HttpClient) -> None:
    answer = root.get("/admin/providers", follow=True)

    assert page_of(answer).one("h1").text == "fal.ai"


def test_with_several_providers_the_short_address_leads_to_their_list(
    root: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = {slug: make_provider(slug) for slug in ("fal", "replicate")}
    monkeypatch.setattr(sync_runs, "ensure_providers", lambda: several)

    assert root.get("/admin/providers").headers["Location"] == PROVIDERS


@pytest.mark.parametrize("short", ["models", "providers", "sync"])
def test_who_is_not_logged_in_comes_back_after_the_login(client: HttpClient, short: str) -> None:
    assert client.get(f"/admin/{short}").headers["Location"] == f"/admin/login/?next=/admin/{short}"


@pytest.mark.parametrize("what", ["404404/change/", "404404/progress/", "add/"])
def test_a_provider_that_does_not_exist_is_not_found(root: HttpClient, what: str) -> None:
    assert root.get(PROVIDERS + what).status_code == 404


def test_the_list_of_providers_says_key_and_newest_sync(root: HttpClient, provider: Provider) -> None:
    run = make_run(provider)

    page = read(root, PROVIDERS)

    assert page.row("fal.ai") == ["fal", "not checked yet", f"succeeded, {run.requested_at:%Y-%m-%d %H:%M} UTC"]
