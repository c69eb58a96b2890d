"""The cloud as an upstream, and its page in the admin: age, trouble, and trusting another key."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.urls import reverse
from django.utils import timezone

from catalog import upstreams
from catalog.exchange import signing
from catalog.models import SyncRun, Upstream
from genfeed.cloud import downloading, standing
from genfeed.cloud.downloading import Cloud, CloudError
from genfeed.cloud.syncing import sync_from_cloud
from genfeed.journal.alerts import raise_alert
from genfeed.journal.models import AuditEvent
from pricing.models import CloudCatalog
from tests.admin.pages import page_of, read
from tests.sandbox_server import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PAGE = "admin:pricing_cloudcatalog_changelist"
OTHER = "A" * 43 + "="


@pytest.fixture
def cloud(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installation whose catalog comes from a cloud that is not there, and is asked once a sync."""
    settings.CLOUD_URL = f"http://127.0.0.1:{free_port()}"
    settings.CATALOG_SOURCE, settings.VAR_DIR, settings.CLOUD_PUBLIC_KEY = "cloud", tmp_path, ""
    monkeypatch.setattr(downloading, "ATTEMPTS", 1)
    return str(settings.CLOUD_URL)


@pytest.fixture
def taken(cloud: str) -> CloudCatalog:
    """Revision 7 was taken of it, and made sure of a minute ago."""
    at = timezone.now() - timedelta(minutes=1)
    key = signing.own_public_key()
    return CloudCatalog.objects.create(pk=1, public_key=key, revision=7, origin=cloud, imported_at=at, checked_at=at)


def names() -> dict[str, bool]:
    return {one.name: one.is_online for one in upstreams.standings()}


def test_a_sync_that_meets_nobody_makes_the_cloud_offline(taken: CloudCatalog) -> None:
    assert names()["cloud"]

    with pytest.raises(CloudError, match="can't be reached"):
        sync_from_cloud(trigger="command")

    assert not names()["cloud"]
    assert not upstreams.is_online("cloud")


def test_while_only_the_cloud_is_away_jobs_can_run_and_answers_say_so(
    taken: CloudCatalog, make_key: Callable[..., str]
) -> None:
    upstreams.note_unreachable("cloud", "gone", times=3)
    http = HttpClient(headers={"Authorization": f"Bearer {make_key('models:read')}"})

    told = http.get("/api/v1/status").json()

    assert told["online"]
    assert {one["id"]: one["online"] for one in told["upstreams"]}["cloud"] is False
    assert "X-GenFeed-Offline" not in http.get("/api/v1/models").headers


def test_an_answer_makes_it_online_again(taken: CloudCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    upstreams.note_unreachable("cloud", "gone", times=3)
    monkeypatch.setattr(Cloud, "fetch", lambda *_: None)

    assert not sync_from_cloud(trigger="command").is_news

    assert names()["cloud"]


def test_where_no_catalog_comes_from_a_cloud_it_is_no_upstream(cloud: str, settings: Any) -> None:
    upstreams.note_unreachable("cloud", "gone", times=3)
    settings.CATALOG_SOURCE = "provider"
    upstreams.forget()

    assert "cloud" not in names()


def test_a_look_that_finds_nothing_new_makes_sure_of_the_catalog(taken: CloudCatalog) -> None:
    assert upstreams.catalog_age() == pytest.approx(60, abs=20)


@pytest.mark.parametrize(("hours", "syncs"), [(1, 0), (3, 1)])
def test_a_cloud_that_is_back_is_asked_for_what_was_missed(
    taken: CloudCatalog, monkeypatch: pytest.MonkeyPatch, hours: int, syncs: int
) -> None:
    queued: list[str] = []
    monkeypatch.setattr("django_q.tasks.async_task", lambda name, **_: queued.append(name))
    CloudCatalog.objects.update(checked_at=timezone.now() - timedelta(hours=hours))
    Upstream.objects.create(name="cloud", sync_at=timezone.now())

    assert upstreams.catch_up() == ["cloud"]

    assert queued == ["genfeed.cloud.tasks.sync"] * syncs


def test_the_page_tells_revision_key_and_trouble(taken: CloudCatalog, staff: Callable[[str], HttpClient]) -> None:
    raise_alert("cloud_sync_failed", "cloud", "It failed", "The export is forged.")

    page = read(staff("viewer"), reverse(PAGE))

    assert page.one(data_testid="cloud-revision").text == "7"
    assert page.one(data_testid="pinned-key").text == signing.fingerprint(taken.public_key)
    assert "The export is forged." in page.one(data_testid="cloud-trouble").text
    assert not page.has(data_testid="cloud-sync")
    assert not page.has(data_testid="ask-key")


def test_the_page_without_a_cloud_says_how_to_get_one(staff: Callable[[str], HttpClient]) -> None:
    assert "Set CLOUD_URL and restart" in read(staff("superuser"), reverse(PAGE)).text


def test_the_address_of_its_row_leads_to_the_page_too(taken: CloudCatalog, staff: Callable[[str], HttpClient]) -> None:
    url = reverse("admin:pricing_cloudcatalog_change", args=[1])

    assert read(staff("viewer"), url).one("h1").text == "Catalog from the cloud"


def test_sync_now_asks_the_worker_and_is_audited(taken: CloudCatalog, staff: Callable[[str], HttpClient]) -> None:
    staff("catalog manager").post(reverse("admin:cloud_sync"), {"full": "on"})

    assert SyncRun.objects.values_list("trigger", "full").get() == ("admin", True)
    assert AuditEvent.objects.filter(action="sync.requested").count() == 1


def test_a_key_is_trusted_once_its_fingerprint_was_typed(
    taken: CloudCatalog, staff: Callable[[str], HttpClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cloud, "public_key", lambda _: OTHER)
    root = staff("superuser")
    page = page_of(root.post(reverse("admin:cloud_key")))
    assert page.one(data_testid="offered-key").text == signing.fingerprint(OTHER)

    root.post(reverse("admin:cloud_key"), {"offered": OTHER, "fingerprint": "abcd", "reason": "told by mail"})
    assert CloudCatalog.objects.get().public_key == taken.public_key
    sent = {"offered": OTHER, "fingerprint": signing.fingerprint(OTHER), "reason": "told by mail"}
    root.post(reverse("admin:cloud_key"), sent)

    assert CloudCatalog.objects.values_list("public_key", "revision").get() == (OTHER, 0)
    event = AuditEvent.objects.get(action="cloud.key_pinned")
    assert (event.before, event.after) == (
        {"key": signing.fingerprint(taken.public_key)},
        {"key": signing.fingerprint(OTHER)},
    )


def test_a_key_that_the_settings_contradict_is_not_trusted(
    taken: CloudCatalog, staff: Callable[[str], HttpClient], settings: Any
) -> None:
    settings.CLOUD_PUBLIC_KEY = taken.public_key
    sent = {"offered": OTHER, "fingerprint": signing.fingerprint(OTHER)}

    page = page_of(staff("superuser").post(reverse("admin:cloud_key"), sent, follow=True))

    assert page.messages == ["CLOUD_PUBLIC_KEY names another key. Change it there first, and restart."]
    assert CloudCatalog.objects.get().public_key == taken.public_key


def test_only_who_may_pin_asks_for_keys(taken: CloudCatalog, staff: Callable[[str], HttpClient]) -> None:
    assert staff("catalog manager").post(reverse("admin:cloud_key")).status_code == 403
    assert standing.trouble() is None
