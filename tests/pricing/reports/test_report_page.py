"""The report Profitability: the figures of the ledger, as page, charts, tables and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Sum
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients.models import Client
from pricing.models import LedgerTransaction, UsageRecord
from pricing.money import to_usd
from pricing.reports import refusals
from pricing.reports.rollups import roll_up
from tests.admin.pages import Page, page_of, read
from tests.factories import make_model
from tests.pricing.ledger.books import CENT, make_client
from tests.pricing.reports.past import ended, later

pytestmark = pytest.mark.django_db
REPORT = "/admin/pricing/usagerecord/profitability/"
DAY = timedelta(days=1)


@pytest.fixture
def viewer(staff: Callable[[str], HttpClient]) -> HttpClient:
    return staff("viewer")


@pytest.fixture
def sold() -> None:
    """Two models and two clients: 3 jobs of 4 cents, one loss, one failure, a refund; and a job of the month before."""
    now = timezone.now()
    flux, video = make_model("fal-ai/flux/dev"), make_model("fal-ai/video", category="text-to-video")
    alice, formula = make_client("alice"), make_client('=HYPERLINK("x")')
    records = [ended(flux, alice, now, seconds=4.0, features={"resolution": "1080p"}) for _ in range(2)]
    ended(flux, formula, now, charge=CENT, cost=3 * CENT)
    ended(video, alice, now - DAY)
    ended(video, alice, now, outcome="failed", charge=0, cost=0, cost_source="none", error_code="timeout")
    later(records[0], "refund", now, spent=-CENT)
    ended(flux, alice, now - 40 * DAY, charge=8 * CENT)
    roll_up()


def table(client: HttpClient, name: str, query: str = "") -> list[dict[str, str]]:
    answer = client.get(f"{REPORT}{name}.csv?{query}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_the_csv_opened_again_and_summed_is_the_ledger(viewer: HttpClient, sold: None) -> None:
    rows = table(viewer, "groups", "period=90&by=client")
    booked: dict[str, Any] = LedgerTransaction.objects.aggregate(spent=Sum("spent"), cost=Sum("cost"))
    assert sum(Decimal(row["revenue_usd"]) for row in rows) == to_usd(booked["spent"])
    assert sum(Decimal(row["cost_usd"]) for row in rows) == to_usd(booked["cost"])
    assert sum(Decimal(row["refunds_usd"]) for row in rows) == Decimal("0.01")


@pytest.mark.parametrize("by", ["model", "client", "category", "provider", "day"])
def test_whatever_it_is_grouped_by_the_sum_is_the_same(viewer: HttpClient, sold: None, by: str) -> None:
    rows = table(viewer, "groups", f"by={by}")
    assert sum(Decimal(row["revenue_usd"]) for row in rows) == Decimal("0.12")
    assert sum(int(row["jobs"]) for row in rows) == 5


@pytest.mark.parametrize("narrowed", ["client", "model"])
def test_one_client_by_model_and_one_model_by_client_are_told_from_the_records(
    viewer: HttpClient, sold: None, narrowed: str
) -> None:
    query = {
        "client": f"by=model&client={Client.objects.get(name='alice').pk}",
        "model": "by=client&model=fal-ai/flux/dev",
    }[narrowed]
    rows = {row["model" if narrowed == "client" else "client"]: row for row in table(viewer, "groups", query)}
    assert rows["fal-ai/flux/dev" if narrowed == "client" else "alice"]["revenue_usd"] == "0.07"


def test_a_year_is_told_by_months_with_the_same_sum(viewer: HttpClient, sold: None) -> None:
    rows = table(viewer, "course", "period=months")
    assert len(rows) == 12
    assert sum(Decimal(row["revenue_usd"]) for row in rows) == Decimal("0.2")


def test_days_across_whole_and_partial_months_are_counted_once(viewer: HttpClient, sold: None) -> None:
    now = timezone.now()
    first, last = (now - 40 * DAY).date(), (now - DAY).date()
    rows = table(viewer, "groups", f"period=days&first={first}&last={last}&by=category")
    assert {row["category"]: row["revenue_usd"] for row in rows} == {"text-to-image": "0.08", "text-to-video": "0.04"}


@pytest.mark.once
def test_a_name_that_a_spreadsheet_would_run_is_escaped(viewer: HttpClient, sold: None) -> None:
    assert '\'=HYPERLINK("x")' in {row["client"] for row in table(viewer, "groups", "by=client")}


def test_the_cards_compare_with_the_days_before(viewer: HttpClient, sold: None) -> None:
    page = read(viewer, REPORT)
    cards = [card.text for card in page.all(css="gf-card")]
    assert cards[0] == "0.1200 USD revenue +50.0 %"


def test_every_number_leads_to_the_rows_behind_it(viewer: HttpClient, sold: None) -> None:
    page = read(viewer, REPORT)
    links = [link.attributes["href"] for link in page.all("a") if "usagerecord/?" in link.attributes.get("href", "")]
    flux = next(link for link in links if "of_model=fal%3Afal-ai%2Fflux%2Fdev" in link)
    assert len(read(viewer, flux).all("td", "field-state")) == 3
    for link in dict.fromkeys(links):
        assert read(viewer, link).has(id="changelist"), link


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("error=timeout", 1), ("feature=resolution%3D1080p", 2), ("later=refund", 1), ("category=text-to-video", 2),
        ("from=2999-01-01", 0), ("to=nonsense", 0), ("of_client=alice", 5), ("compared=yes", 5),
        ("feature=a__b%3D1", 0), ("error=%00", 0),
    ],
)  # fmt: skip
def test_usage_records_are_found_by_what_a_number_is_of(viewer: HttpClient, sold: None, query: str, count: int) -> None:
    assert len(read(viewer, f"/admin/pricing/usagerecord/?{query}").all("td", "field-state")) == count


@pytest.mark.once
def test_a_usage_record_has_a_page_of_its_history(viewer: HttpClient, sold: None) -> None:
    record = UsageRecord.objects.latest("pk")

    assert "history" in read(viewer, f"/admin/pricing/usagerecord/{record.pk}/history/").text


@pytest.mark.once
def test_the_page_has_charts_with_words_and_nothing_inline(viewer: HttpClient, sold: None) -> None:
    page = read(viewer, REPORT)
    charts = page.all("svg", "gf-chart")
    assert len(charts) >= 5
    for chart in charts:
        title, description = chart.attributes["aria-labelledby"].split()
        assert page.one(id=title).text
        assert page.one(id=description).text
    assert not [one for one in page.elements if "style" in one.attributes or one.tag == "style"]
    assert not [one for one in page.all("script") if "src" not in one.attributes and one.text]


def test_models_of_a_margin_can_be_listed(viewer: HttpClient, sold: None) -> None:
    rows = table(viewer, "margins")
    assert {row["margin"]: row["models"] for row in rows if row["models"] != "0"} == {"30–40 %": "1", "70–80 %": "1"}
    page = read(viewer, f"{REPORT}?bin=8")
    assert {link.text for link in page.all("a", "gf-name")} == {"fal-ai/video"}


@pytest.mark.once
def test_accuracy_is_told_from_five_jobs_on(viewer: HttpClient, sold: None) -> None:
    assert table(viewer, "accuracy") == []
    client = make_client("bob")
    model = make_model("fal-ai/off")
    for _ in range(5):
        ended(model, client, timezone.now(), quoted_cost=CENT, cost=2 * CENT)
    roll_up()
    (row,) = table(viewer, "accuracy")
    assert (row["model"], row["jobs"], row["mean_deviation_percent"]) == ("fal-ai/off", "5", "50.00")


def test_errors_by_day_and_features_come_as_csv(viewer: HttpClient, sold: None) -> None:
    today = timezone.now().date().isoformat()
    assert table(viewer, "errors") == [{"day": today, "error": "timeout", "jobs": "1"}]
    assert table(viewer, "features") == [{"feature": "resolution=1080p", "jobs": "2"}]


@pytest.mark.once
def test_without_jobs_the_page_says_what_to_do(viewer: HttpClient) -> None:
    assert "No job ended in these days. Choose a longer period" in read(viewer, REPORT).text


@pytest.mark.once
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("period=days", "Say from which day to which"),
        ("period=days&first=2026-02-01&last=2026-01-01", "in their order"),
        ("model=fal-ai/nothing", "There is no model"),
        ("by=weather", "not one of the available choices"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_why(viewer: HttpClient, sold: None, query: str, words: str) -> None:
    page = read(viewer, f"{REPORT}?{query}")
    assert words in page.text
    assert not page.has("svg", "gf-chart")


@pytest.mark.once
def test_staff_without_a_role_see_no_figures(sold: None) -> None:
    browser = HttpClient()
    browser.force_login(User.objects.create_user("nobody", is_staff=True))
    assert browser.get(REPORT).status_code == 403
    assert browser.get(f"{REPORT}groups.csv").status_code == 403


@pytest.mark.once
def test_there_are_no_other_tables(viewer: HttpClient) -> None:
    assert viewer.get(f"{REPORT}secrets.csv").status_code == 404


@pytest.mark.once
def test_page_of_a_group_deeper_keeps_the_period(viewer: HttpClient, sold: None) -> None:
    page: Page = page_of(viewer.get(f"{REPORT}?period=90&by=category"))
    deeper = next(link.attributes["href"] for link in page.all("a", "gf-name") if link.text == "text-to-video")
    assert "period=90" in deeper
    assert {link.text for link in read(viewer, REPORT + deeper).all("a", "gf-name")} == {"fal-ai/video"}


@pytest.mark.once
def test_every_number_of_every_table_is_a_link_or_nothing(viewer: HttpClient, sold: None) -> None:
    client = make_client("bob")
    model = make_model("fal-ai/off")
    for _ in range(5):
        ended(model, client, timezone.now(), quoted_cost=CENT, cost=2 * CENT, seconds=2.0)
    ended(model, client, timezone.now() - 35 * DAY)
    refusals.count_refused_model(model.pk, "model_disabled", client_id=client.pk)
    refusals.flush()
    roll_up()
    for by in ("model", "client", "category", "provider", "day"):
        page = read(viewer, f"{REPORT}?by={by}")
        cells = re.findall(r'<td class="gf-number[^>]*>(.*?)</td>', page.html, re.DOTALL)
        assert len(cells) > 100
        for cell in cells:
            assert re.sub(r'<a href="[^"]+"[^>]*>.*?</a>', "", cell).strip() in ("", "0", "–"), (by, cell)
        for card in page.all(css="gf-card"):
            assert card.tag == "a" or card.text.startswith("0"), card.text


@pytest.mark.once
def test_the_numbers_of_a_line_lead_to_as_many_records(viewer: HttpClient, sold: None) -> None:
    for by in ("model", "client", "category", "provider", "day"):
        page = read(viewer, f"{REPORT}?by={by}&period=7")
        for link in page.all("a"):
            if link.text.isdigit() and "/usagerecord/?" in link.attributes.get("href", ""):
                assert len(read(viewer, link.attributes["href"]).all("td", "field-state")) == int(link.text), link


@pytest.mark.once
def test_any_filter_goes_with_any_group(viewer: HttpClient, sold: None) -> None:
    rows = table(viewer, "groups", "by=client&category=text-to-image&provider=fal")
    assert {row["client"]: row["revenue_usd"] for row in rows} == {"alice": "0.07", '\'=HYPERLINK("x")': "0.01"}
    alice = Client.objects.get(name="alice").pk
    rows = table(viewer, "groups", f"by=category&client={alice}")
    assert {row["category"]: row["jobs"] for row in rows} == {"text-to-image": "2", "text-to-video": "2"}


def test_refused_requests_are_told_by_model_and_by_client_and_lead_to_their_counts(
    viewer: HttpClient, sold: None
) -> None:
    model, alice, bob = make_model("fal-ai/off", switch="off"), Client.objects.get(name="alice"), make_client("bob")
    for client_id in (alice.pk, alice.pk, bob.pk, None):
        refusals.count_refused_model(model.pk, "model_disabled", client_id=client_id)
    refusals.count_throttled_client(bob.pk, "rate_limited")
    refusals.flush()
    assert [tuple(row.values()) for row in table(viewer, "refused")] == [
        ("model", "fal-ai/off", "4"), ("client", "alice", "2"), ("client", "bob", "2"),
        ("client", "(staff, or unknown)", "1"),
    ]  # fmt: skip
    assert [tuple(row.values()) for row in table(viewer, "refused", f"client={alice.pk}")] == [
        ("model", "fal-ai/off", "2"), ("client", "alice", "2"),
    ]  # fmt: skip
    link = next(one for one in read(viewer, REPORT).all("a") if one.text == "fal-ai/off")
    page = read(viewer, link.attributes["href"])
    assert sum(int(cell.text) for cell in page.all("td", "field-times")) == 4
    assert "Refused requests, by day" in [heading.text for heading in page.all("h1")]
    assert {cell.text for cell in page.all("td", "field-day")} == {timezone.now().date().isoformat()}


@pytest.mark.once
def test_refused_requests_of_a_client_lead_to_those_of_the_category_and_provider_that_are_shown(
    viewer: HttpClient,
) -> None:
    alice = make_client("alice")
    off, video = make_model("fal-ai/off"), make_model("fal-ai/clip", category="text-to-video")
    for model in (off, off, video):
        refusals.count_refused_model(model.pk, "model_disabled", client_id=alice.pk)
    refusals.count_throttled_client(alice.pk, "rate_limited")
    refusals.flush()

    for query, times in (("category=text-to-video", 1), ("provider=fal", 3), ("model=fal:fal-ai/off", 2), ("", 4)):
        link = next(
            one for one in read(viewer, f"{REPORT}?{query}").all("a") if "of_client=alice" in one.attributes["href"]
        )
        page = read(viewer, link.attributes["href"])
        assert sum(int(cell.text) for cell in page.all("td", "field-times")) == times, query


@pytest.mark.once
def test_models_of_one_id_at_two_providers_each_lead_to_their_own_records(viewer: HttpClient) -> None:
    client = make_client("alice")
    ours, theirs = make_model("owner/same"), make_model("owner/same", provider="replicate")
    for model, jobs in ((ours, 2), (theirs, 5)):
        for _ in range(jobs):
            ended(model, client, timezone.now())
    roll_up()

    page = read(viewer, REPORT)
    assert {
        len(read(viewer, link.attributes["href"]).all("td", "field-state"))
        for link in page.all("a")
        if link.text in ("2", "5") and "/usagerecord/?" in link.attributes["href"]
    } == {2, 5}
    deeper = [link.attributes["href"] for link in page.all("a", "gf-name") if link.text == "owner/same"]
    assert {read(viewer, REPORT + one).all(css="gf-card")[0].text[:6] for one in deeper} == {"0.0800", "0.2000"}


@pytest.mark.once
def test_who_sees_no_figures_sees_no_refusals(sold: None) -> None:
    browser = HttpClient()
    browser.force_login(User.objects.create_user("nobody", is_staff=True))
    assert browser.get("/admin/pricing/refusal/").status_code == 403


def test_a_long_list_of_records_is_paged_from_the_newest(viewer: HttpClient) -> None:
    model, client = make_model(), make_client()
    for number in range(60):
        ended(model, client, timezone.now() - number * DAY, seconds=1.0)
    first = f"from={(timezone.now() - 55 * DAY).date()}"
    shown = []
    for number in (1, 2):
        page = read(viewer, f"/admin/pricing/usagerecord/?{first}&p={number}")
        shown += [cell.text for cell in page.all("td", "field-ended")]
    assert len(shown) == 56
    assert shown == sorted(shown, reverse=True)


@pytest.mark.once
@pytest.mark.parametrize("query", ["p=0", "p=x", "p=999999", "q=%00", "all=", "o=3"])
def test_an_odd_address_of_the_list_is_no_error(viewer: HttpClient, sold: None, query: str) -> None:
    assert viewer.get(f"/admin/pricing/usagerecord/?{query}").status_code in (200, 302)


def test_a_record_is_found_by_both_its_ids(viewer: HttpClient) -> None:
    records = [ended(make_model(), make_client(), request_id="req-1"), ended(make_model("fal-ai/b"), make_client("b"))]
    for term in (records[0].job, "req-1"):
        assert len(read(viewer, f"/admin/pricing/usagerecord/?q={term}").all("td", "field-state")) == 1
