"""Syncs and their reports: what was found, what failed, and why."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from catalog.models import SyncRun
from tests.admin.pages import Page, read
from tests.factories import make_provider

pytestmark = [pytest.mark.django_db, pytest.mark.once]

RUNS = "/admin/catalog/syncrun/"
ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
REPORT = {
    "added": ["fal-ai/new"],
    "updated": ["fal-ai/renamed", "fal-ai/described"],
    "retired": ["fal-ai/gone"],
    "deprecated": ["fal-ai/old"],
    "returned": ["fal-ai/back"],
    "changed": [
        {
            "id": "fal-ai/flux/dev",
            "version": 3,
            "class": "breaking",
            "changes": 9,
            "words": ["Breaking: Input seed: removed."],
        },
        {"id": "fal-ai/veo3", "version": 2, "class": "compatible", "changes": 1, "words": ["Input fps: new."]},
    ],
    "not_understood": {"fal-ai/odd": "It has no paths."},
    "held": {"schema_not_understood": ["fal-ai/odd"], "retired": ["fal-ai/gone", "fal-ai/long-gone"]},
    "listing_problems": ["Page 2: a record without id was skipped."],
    "totals": {"models": 12, "understood": 11, "enabled": 9, "held": 3},
}


def make_run(status: str = "succeeded", **columns: Any) -> SyncRun:
    started = timezone.now() - timedelta(seconds=3)
    values = {
        "provider": make_provider(), "status": status, "trigger": "admin", "requested_by": "root",
        "source": "http://127.0.0.1:9/v1", "started_at": started, "finished_at": started + timedelta(seconds=2.5),
    }  # fmt: skip
    return SyncRun.objects.create(**(values | columns))


def show(client: HttpClient, run: SyncRun) -> Page:
    return read(client, f"{RUNS}{run.pk}/change/")


def cards(page: Page) -> dict[str, int]:
    """The numbers at the head of a report, by their words."""
    pairs = (card.text.partition(" ") for card in page.all("span", "gf-card"))
    return {words: int(number) for number, _, words in pairs}


def test_a_report_says_who_asked_when_where_and_how_long_it_took(root: HttpClient) -> None:
    run = make_run()

    text = show(root, run).text

    assert (
        f"succeeded fal.ai at http://127.0.0.1:9/v1, asked for by root at {run.requested_at:%Y-%m-%d %H:%M:%S} UTC, "
        "took 2.5 s."
    ) in text


def test_a_report_begins_with_its_numbers(root: HttpClient) -> None:
    run = make_run(listed=12, schemas_fetched=11, added=1, changed=2, updated=3, retired=4, failed=5, report=REPORT)

    assert cards(show(root, run)) == {
        "listed": 12, "schemas fetched": 11, "added": 1, "with a changed schema": 2, "updated": 3, "retired": 4,
        "without a usable schema": 5,
    }  # fmt: skip


def test_a_report_says_what_is_understood_and_enabled(root: HttpClient) -> None:
    page = show(root, make_run(report=REPORT))

    assert page.row("Understood") == ["11 of 12 models have a schema that is understood."]
    assert page.row("Enabled") == ["9"]


def test_a_report_says_why_which_models_are_held_or_not_understood(root: HttpClient) -> None:
    page = show(root, make_run(report=REPORT))

    assert page.row("Held: 1")[0].startswith("The model's schema is not understood, so its input can't be checked.")
    assert page.row("Held: 2") == ["The provider no longer lists this model. which fal-ai/gone fal-ai/long-gone"]
    assert page.row("fal-ai/odd") == ["It has no paths."]
    assert page.row("Listing") == ["Page 2: a record without id was skipped."]


def test_a_report_says_what_changed_and_whether_callers_break(root: HttpClient) -> None:
    page = show(root, make_run(report=REPORT))

    assert page.row("fal-ai/flux/dev v3") == [
        "breaking",
        "Breaking: Input seed: removed. 9 changes in all; the model's page shows them.",
    ]
    assert page.row("fal-ai/veo3 v2") == ["compatible", "Input fps: new."]
    assert page.has("a", href="/admin/catalog/aimodel/?q=fal-ai/flux/dev")


def test_a_report_names_the_models_that_came_went_and_changed(root: HttpClient) -> None:
    page = show(root, make_run(report=REPORT))

    assert page.row("Added (1)") == ["which fal-ai/new"]
    assert page.row("Updated (2)") == ["which fal-ai/renamed fal-ai/described"]
    assert page.row("Retired (1)") == ["fal-ai/gone"]
    assert page.row("Deprecated (1)") == ["fal-ai/old"]
    assert page.row("Returned (1)") == ["fal-ai/back"]


def test_a_sync_that_found_nothing_new_says_so(root: HttpClient) -> None:
    empty: dict[str, Any] = {name: [] for name in ("added", "updated", "retired", "deprecated", "returned", "changed")}

    page = show(root, make_run(report=empty))

    assert page.row("Added (0)") == page.row("Retired (0)") == ["none"]
    assert "Changed schemas" not in page.text


def test_the_report_of_the_recorded_catalog_is_shown(recorded_synced: SyncRun, root: HttpClient) -> None:
    page = show(root, recorded_synced)

    assert (cards(page)["listed"], cards(page)["without a usable schema"]) == (1429, 59)
    assert page.row("Understood") == ["1370 of 1429 models have a schema that is understood."]
    assert len(page.row("Added (1429)")[0].split()) == 1430


def test_a_failed_sync_says_why_and_shows_no_numbers(root: HttpClient) -> None:
    page = show(root, make_run("failed", error="fal.ai at 127.0.0.1:9 answered 503."))

    assert page.one("p", "errornote").text == "fal.ai at 127.0.0.1:9 answered 503."
    assert page.one("span", "gf-bad").text == "failed"
    assert cards(page) == {}


def test_a_sync_that_really_failed_has_a_report(sync: Callable[..., SyncRun], root: HttpClient) -> None:
    page = show(root, sync())

    assert "fal.ai at 127.0.0.1:9 can't be reached" in page.one("p", "errornote").text


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_sync_that_is_not_done_has_a_page(root: HttpClient, status: str) -> None:
    run = make_run(status, source="", started_at=None, finished_at=None, requested_by="")

    assert f"{status} fal.ai at (not started), asked for by admin" in show(root, run).text


def test_what_a_provider_says_is_text_and_never_markup(root: HttpClient) -> None:
    change = {"id": ATTACK, "version": 2, "class": ATTACK, "changes": 1, "words": [ATTACK]}
    named = {name: [ATTACK] for name in ("added", "updated", "retired", "deprecated", "returned", "listing_problems")}
    report = named | {"changed": [change], "not_understood": {ATTACK: ATTACK}, "held": {ATTACK: [ATTACK]}}

    page = show(root, make_run(report=report, error=ATTACK, source=ATTACK, requested_by=ATTACK))

    assert [element.text for element in page.all("script") if "alert" in element.text] == []
    assert [element.tag for element in page.elements if "onerror" in element.attributes] == []


def test_the_list_of_syncs_shows_their_numbers_newest_first(root: HttpClient) -> None:
    make_run(listed=12, added=1)
    make_run("failed")

    page = read(root, RUNS)

    assert [badge.text for badge in page.all("span", "gf-badge")] == ["failed", "succeeded"]
    assert page.rows[-1][1:] == ["fal.ai", "succeeded", "admin", "root", "2.5 s", "12", "1", "0", "0", "0"]


def test_the_list_of_syncs_reads_no_reports(root: HttpClient, django_assert_max_num_queries: Any) -> None:
    for _ in range(30):
        make_run(report=REPORT)

    with django_assert_max_num_queries(10):
        read(root, RUNS)


@pytest.mark.parametrize("address", ["404404/change/", "x/change/", "add/"])
def test_a_sync_that_does_not_exist_is_not_found(root: HttpClient, address: str) -> None:
    assert root.get(RUNS + address).status_code == 404


@pytest.mark.parametrize("what", ["delete", "history"])
def test_a_sync_can_not_be_deleted(root: HttpClient, what: str) -> None:
    run = make_run()

    answer = root.post(f"{RUNS}{run.pk}/{what}/", {"post": "yes"})

    assert answer.status_code in (403, 405) or what == "history"
    assert SyncRun.objects.count() == 1
