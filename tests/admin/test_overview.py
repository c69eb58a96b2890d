"""The start page: how the catalog is, and what needs a look."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from catalog import upstreams
from catalog.models import SyncRun
from genfeed.journal.alerts import acknowledge, raise_alert
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert
from jobs.dispatching.gate import block
from jobs.ending.finishing import fail
from jobs.failures import QUEUE_TIMEOUT
from pricing.reports.rollups import roll_up
from tests.admin.pages import Page, read
from tests.factories import make_model, make_models, make_provider, publish_now
from tests.jobs.doubles import make_job, submitted
from tests.pricing.ledger.books import CENT, make_client
from tests.pricing.reports.past import ended, later

pytestmark = pytest.mark.django_db

START = "/admin/"
Staff = Callable[[str], HttpClient]


def cards(page: Page) -> dict[str, int]:
    """The numbers at the head, by their words."""
    pairs = (card.text.partition(" ") for card in page.all("a", "gf-card") if " USD " not in card.text)
    return {words: int(number) for number, _, words in pairs}


def synced(hours_ago: float = 0, status: str = "succeeded") -> SyncRun:
    at = timezone.now() - timedelta(hours=hours_ago)
    return SyncRun.objects.create(
        provider=make_provider(), status=status, trigger="schedule", requested_at=at, started_at=at, finished_at=at
    )


@pytest.fixture
def mixed() -> None:
    make_models(3)
    make_model("fal-ai/off", switch="off")
    make_model("fal-ai/bare", schema_version=0, schema_state="missing", media_type="video")
    make_model("fal-ai/old", status="deprecated")
    make_model("fal-ai/older", status="deprecated")
    make_model("fal-ai/gone", status="retired")
    make_model("fal-ai/voice", media_type="audio")


# --- the numbers ---


@pytest.mark.once
def test_view_site_leads_out_of_the_admin(root: HttpClient) -> None:
    (link,) = [link for link in read(root, "/admin/").all("a") if link.text == "View site"]

    assert link.attributes["href"] == "/playground"


def test_it_counts_the_models_by_what_became_of_them(root: HttpClient, mixed: None) -> None:
    assert cards(read(root, START)) == {
        "enabled models": 4, "known models": 9, "held": 3, "retired": 1, "open alerts": 0,
        "held prices": 0, "proposed rules": 0, "not sold for want of a price": 0,
        "% of default requests priced before they run": 0,
        "jobs today": 0, "of them failed": 0, "in flight": 0, "queued": 0, "bills to decide": 0,
        "recommendations": 0,
    }  # fmt: skip


def test_each_number_leads_to_as_many_rows_as_it_says(root: HttpClient, mixed: None) -> None:
    raise_alert("sync_failed", "fal", "The sync failed")

    wrong = {}
    for card in read(root, START).all("a", "gf-card"):
        if card.attributes["href"].startswith("#") or " % " in card.text or " USD " in card.text:
            continue
        number, _, words = card.text.partition(" ")
        rows = [cells for cells in read(root, card.attributes["href"]).rows if cells][1:]
        if len(rows) != int(number):
            wrong[words] = (number, len(rows))

    assert wrong == {}


def test_the_number_of_held_models_leads_to_reasons_that_add_up_to_it(root: HttpClient, mixed: None) -> None:
    page = read(root, START)

    reasons = [link for link in page.all("a") if "?held=" in link.attributes.get("href", "") and link.text.isdigit()]
    assert next(card for card in page.all("a", "gf-card") if card.text == "3 held").attributes["href"] == "#held"
    assert page.one("h2", id="held").text == "Held, and why"
    assert sum(int(link.text) for link in reasons) == cards(page)["held"] == 3


@pytest.mark.once
def test_it_says_why_models_are_held_the_most_frequent_reason_first(root: HttpClient, mixed: None) -> None:
    text = read(root, START).text

    section = text[text.index("Held, and why") : text.index("Enabled models by media type")]
    assert section.split(" ", 3)[3].startswith("2 The provider calls this model deprecated.")
    assert "1 The provider publishes no schema for this model, so its input can't be checked." in section


@pytest.mark.once
def test_each_reason_leads_to_its_models(root: HttpClient, mixed: None) -> None:
    page = read(root, START)

    link = next(link for link in page.all("a") if link.attributes["href"].endswith("?held=deprecated"))
    found = [element.text for element in read(root, link.attributes["href"]).all("span", "gf-id")]

    assert link.text == "2"
    assert found == ["fal-ai/old", "fal-ai/older"]


def test_a_retired_model_is_not_counted_as_held(root: HttpClient) -> None:
    make_model("fal-ai/gone", status="retired")

    page = read(root, START)

    assert (cards(page)["held"], cards(page)["retired"]) == (0, 1)
    assert not page.has("h2", id="held")


def test_it_shows_the_enabled_models_by_media_type(root: HttpClient, mixed: None) -> None:
    page = read(root, START)

    assert page.row("image") == ["3", "75 %"]
    assert page.row("audio") == ["1", "25 %"]
    assert not [cells for cells in page.rows if cells[0] == "video"]


@pytest.mark.once
def test_it_shows_the_published_revision(root: HttpClient, mixed: None) -> None:
    number = publish_now()

    assert f"Catalog revision {number}, published" in read(root, START).text


# --- the providers ---


@pytest.mark.once
def test_an_empty_catalog_says_what_to_do(root: HttpClient) -> None:
    page = read(root, START)

    assert "The catalog is empty. Open the provider and press Sync now: that discovers every model." in page.text
    assert page.row("fal.ai")[:3] == ["never", "none yet", "0 (0 enabled)"]


@pytest.mark.once
def test_a_filled_catalog_is_not_called_empty(root: HttpClient, mixed: None) -> None:
    assert "The catalog is empty." not in read(root, START).text


@pytest.mark.once
@pytest.mark.parametrize(
    ("hours", "expected"), [(6.5, "6 hours, 30 minutes ago"), (7.5, "7 hours, 30 minutes ago late")]
)
def test_a_sync_is_late_after_seven_hours(root: HttpClient, hours: float, expected: str) -> None:
    synced(hours)

    assert read(root, START).row("fal.ai")[0] == expected


@pytest.mark.once
def test_a_failed_sync_does_not_hide_when_the_last_good_one_was(root: HttpClient) -> None:
    synced(2)
    failed = synced(1, "failed")

    page = read(root, START)

    assert page.row("fal.ai")[:2] == ["2 hours ago", "failed"]
    assert page.has("a", href=f"/admin/catalog/syncrun/{failed.pk}/change/")


@pytest.mark.once
def test_a_provider_without_key_is_called_not_configured(root: HttpClient, settings: Any) -> None:
    settings.FAL_KEY = ""

    assert read(root, START).row("fal.ai")[3] == "not configured"


@pytest.mark.once
@pytest.mark.parametrize(
    ("state", "expected"), [("unknown", "set"), ("valid", "set, Valid"), ("unreachable", "set, could not be checked")]
)
def test_a_provider_with_a_key_says_what_is_known_of_it(root: HttpClient, state: str, expected: str) -> None:
    provider = make_provider()
    provider.key_state = state
    provider.save()

    assert read(root, START).row("fal.ai")[3] == expected


@pytest.mark.once
def test_the_sandbox_is_named_on_every_page(root: HttpClient, settings: Any) -> None:
    settings.SANDBOX_ACTIVE = True

    assert read(root, START).row("fal.ai")[3] == "sandbox"
    assert read(root, "/admin/catalog/aimodel/").one("span", "gf-sandbox").text == "sandbox"


@pytest.mark.once
def test_with_a_real_key_no_page_speaks_of_the_sandbox(root: HttpClient) -> None:
    assert not read(root, START).has("span", "gf-sandbox")


# --- the alerts ---


@pytest.mark.once
def test_open_alerts_are_shown_with_a_link_to_where_they_are_dealt_with(root: HttpClient) -> None:
    raise_alert("schema_breaking", "fal:a", "a breaks <b>callers</b>", url="/admin/catalog/aimodel/1/change/")

    page = read(root, START)

    assert cards(page)["open alert"] == 1
    assert page.one("a", href="/admin/catalog/aimodel/1/change/").text == "a breaks <b>callers</b>"


@pytest.mark.once
def test_an_acknowledged_alert_is_gone_from_the_start_page(root: HttpClient) -> None:
    raise_alert("sync_failed", "fal", "The sync failed")
    acknowledge(Alert.objects.get(), actor=SYSTEM)

    page = read(root, START)

    assert cards(page)["open alerts"] == 0
    assert "The sync failed" not in page.text


def test_of_many_alerts_the_newest_eight_are_shown_and_all_are_counted(root: HttpClient) -> None:
    for number in range(10):
        raise_alert("schema_breaking", f"fal:{number}", f"alert number {number}")

    page = read(root, START)

    assert cards(page)["open alerts"] == 10
    assert [number for number in range(10) if f"alert number {number}" in page.text] == list(range(2, 10))


# --- who sees it, at what cost ---


@pytest.mark.once
@pytest.mark.parametrize("role", ["superuser", "catalog manager", "finance", "viewer"])
def test_every_role_sees_the_start_page(staff: Staff, mixed: None, role: str) -> None:
    assert cards(read(staff(role), START))["known models"] == 9


@pytest.mark.once
def test_who_is_not_logged_in_is_led_to_the_login(client: HttpClient) -> None:
    assert client.get(START).headers["Location"] == "/admin/login/?next=/admin/"


@pytest.mark.once
def test_the_address_without_a_path_leads_to_the_admin(client: HttpClient) -> None:
    assert client.get("/").headers["Location"] == "/admin/"


def test_the_queries_do_not_grow_with_the_models(root: HttpClient, django_assert_num_queries: Any) -> None:
    make_models(1)
    synced()
    with django_assert_num_queries(33) as few:
        read(root, START)

    make_provider("fal").models.all().delete()
    make_models(300)
    upstreams.forget()

    with django_assert_num_queries(len(few)):
        read(root, START)


@pytest.mark.once
def test_the_apps_come_in_the_order_of_a_days_work(root: HttpClient) -> None:
    sections = [link.text for link in read(root, START).all("a", "section")]

    assert list(dict.fromkeys(sections))[:4] == ["Catalog", "Pricing", "Jobs", "Clients"]


def test_jobs_of_today_are_counted_with_those_that_failed_wait_or_run(root: HttpClient) -> None:
    fail(submitted()[1], QUEUE_TIMEOUT)
    make_job()

    found = cards(read(root, START))

    assert {name: found[name] for name in ("jobs today", "of them failed", "in flight")} == {
        "jobs today": 2, "of them failed": 1, "in flight": 0,
    }  # fmt: skip
    assert any(words.startswith("queued, the oldest for") and n == 1 for words, n in found.items())


@pytest.mark.once
def test_a_provider_that_takes_no_jobs_is_on_the_start_page(root: HttpClient) -> None:
    block("fal", "provider_locked", "Our balance is exhausted", "Top it up.")

    assert cards(read(root, START))["provider with trouble"] == 1


def test_money_of_today_stands_beside_that_of_the_same_day_last_week(root: HttpClient) -> None:
    model, client = make_model(), make_client()
    ended(model, client, timezone.now())
    ended(model, client, timezone.now() - timedelta(days=7), charge=9 * CENT)
    roll_up()

    report = "/admin/pricing/usagerecord/profitability/"
    shown = {card.text: card.attributes["href"] for card in read(root, "/admin/").all("a", "gf-card")}

    wanted = {
        "0.0400 USD revenue today 0.0900 until this time last week": f"{report}?period=today",
        "0.0100 USD cost today 0.0100 last week": f"{report}?period=today",
        "0.0300 USD margin today 0.0800 last week": f"{report}?period=today",
        "0.0300 USD margin in 7 days 0.0800 in the 7 before": f"{report}?period=7",
        "0 recommendations": "/admin/pricing/recommendation/",
    }
    assert {text: shown.get(text) for text in wanted} == wanted


def test_today_is_compared_with_the_same_hours_of_that_day(root: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    noon = timezone.now().replace(hour=12)
    monkeypatch.setattr("django.utils.timezone.now", lambda: noon)
    model, client = make_model(), make_client()
    week_ago = timezone.now() - timedelta(days=7)
    record = ended(model, client, week_ago - timedelta(minutes=1))
    later(record, "refund", timezone.now(), spent=-CENT)
    ended(model, client, week_ago + timedelta(minutes=1), charge=9 * CENT)
    roll_up()

    shown = [card.text for card in read(root, "/admin/").all("a", "gf-card")]

    assert any("0.0300 until this time last week" in text for text in shown)
