"""The admin's pages of the existing collection, equivalents, calibrations and coverage, and the start page."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.models import AIModel, SyncRun
from genfeed.journal.models import AuditEvent
from pricing.existing.enhancing import enhance
from pricing.models import Calibration, Equivalence, ExistingModel, ModelPricing, PricePoint, PriceRule
from tests.admin.pages import Page, page_of, read
from tests.factories import make_model, make_models, make_provider
from tests.pricing.collection.rows import TESTER, give_price, imported, legacy

pytestmark = pytest.mark.django_db
Staff = Callable[[str], HttpClient]
EXISTING = "/admin/pricing/existingmodel/"
PROFIT = f"{EXISTING}profitability/"
PAIRS = "/admin/pricing/equivalence/"
CALIBRATIONS = "/admin/pricing/calibration/"
PRICING = "/admin/pricing/modelpricing/"
COVERAGE = f"{PRICING}coverage/"
PAGES = (EXISTING, PROFIT, PAIRS, CALIBRATIONS, PRICING, COVERAGE)


@pytest.fixture
def root(staff: Staff) -> HttpClient:
    return staff("superuser")


@pytest.fixture
def collection() -> ExistingModel:
    """One existing model at 0.05 that costs 0.08, beside one under a stale id."""
    give_price(make_model("fal-ai/flux/dev", metadata={"id": "x"}), "0.08")
    imported(legacy("fal-ai/flux/dev"), legacy("fal-ai/flux-dev", name="Stale"))
    enhance(actor=TESTER, discover=False)
    return ExistingModel.objects.get(legacy_id="fal-ai/flux/dev")


def messages(answer: Any) -> str:
    return " ".join(page_of(answer).messages)


@pytest.mark.once
@pytest.mark.parametrize("url", PAGES)
def test_an_empty_page_says_what_to_do(root: HttpClient, url: str) -> None:
    page = read(root, url)
    assert page.has(css="gf-empty")


@pytest.mark.once
@pytest.mark.usefixtures("collection")
@pytest.mark.parametrize("role", ["viewer", "catalog manager", "finance"])
@pytest.mark.parametrize("url", PAGES)
def test_every_role_may_look(staff: Staff, role: str, url: str) -> None:
    read(staff(role), url)


@pytest.mark.once
@pytest.mark.parametrize("url", [*PAGES, f"{EXISTING}profitability.csv"])
def test_who_has_no_role_sees_nothing(url: str, django_user_model: Any) -> None:
    client = HttpClient()
    client.force_login(django_user_model.objects.create_user("nobody", password="x", is_staff=True))
    assert client.get(url).status_code == 403


@pytest.mark.once
@pytest.mark.usefixtures("collection")
@pytest.mark.parametrize("url", [*PAGES, "/admin/", f"{CALIBRATIONS}plan/"])
def test_no_page_needs_inline_script_or_style(root: HttpClient, url: str) -> None:
    html = root.get(url).content.decode()
    assert not re.search(r"<script(?![^>]*(src=|type=\"application/json\"|nonce))|\son\w+=|\sstyle=", html)


# --- the existing collection ---


@pytest.mark.usefixtures("collection")
def test_the_list_shows_price_and_cost_side_by_side(root: HttpClient) -> None:
    text = read(root, EXISTING).text
    assert "0.05 USD per image" in text
    assert "0.08 USD per image" in text


@pytest.mark.usefixtures("collection")
def test_loss_makers_stand_first_on_the_profitability_page(root: HttpClient) -> None:
    page = read(root, PROFIT)
    assert page.row("fal:fal-ai/flux/dev")[:2] == ["loss -60.0 %", "Each image loses 0.03 USD."]
    first = [cells[0] for cells in page.rows if cells and cells[0].startswith("fal:")]
    assert first == ["fal:fal-ai/flux/dev", "fal:fal-ai/flux-dev"]


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_the_analysis_can_be_downloaded(root: HttpClient) -> None:
    answer = root.get(f"{EXISTING}profitability.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="profitability.csv"'
    assert next(csv.DictReader(io.StringIO(answer.content.decode())))["loss_usd"] == "0.03"


@pytest.mark.once
def test_adopting_shows_first_and_changes_nothing_yet(root: HttpClient, collection: ExistingModel) -> None:
    answer = root.post(EXISTING, {"action": "adopt", "_selected_action": [collection.pk]})
    assert page_of(answer).row("fal:fal-ai/flux/dev") == ["0.05 per images", "0.266666667 USD per images", "changes"]
    collection.refresh_from_db()
    assert collection.keeps_price


def test_a_confirmed_adoption_changes_the_price_and_can_be_undone(staff: Staff, collection: ExistingModel) -> None:
    finance = staff("finance")
    sure = {"action": "adopt", "_selected_action": [collection.pk], "sure": "yes"}
    assert "now sold at the computed price" in messages(finance.post(EXISTING, sure, follow=True))
    assert AIModel.objects.get(endpoint_id="fal-ai/flux/dev").price["amount"] == "0.266666667"
    finance.post(EXISTING, {"action": "keep", "_selected_action": [collection.pk]})
    assert AIModel.objects.get(endpoint_id="fal-ai/flux/dev").price["amount"] == "0.05"
    actions = AuditEvent.objects.filter(action__startswith="existing.price").order_by("pk")
    assert list(actions.values_list("actor_name", "action")) == [
        ("a finance", "existing.price_adopted"),
        ("a finance", "existing.price_kept"),
    ]


@pytest.mark.once
def test_a_viewer_may_not_adopt(staff: Staff, collection: ExistingModel) -> None:
    viewer = staff("viewer")
    assert viewer.post(f"{EXISTING}{collection.pk}/price/", {"do": "adopt"}).status_code == 403
    viewer.post(EXISTING, {"action": "adopt", "_selected_action": [collection.pk], "sure": "yes"})
    collection.refresh_from_db()
    assert collection.keeps_price


@pytest.mark.once
def test_the_page_of_one_adopts_its_price(root: HttpClient, collection: ExistingModel) -> None:
    page = f"{EXISTING}{collection.pk}/change/"
    assert read(root, page).has("button", data_testid="adopt-price")
    root.post(f"{EXISTING}{collection.pk}/price/", {"do": "adopt", "reason": "agreed"})
    assert AuditEvent.objects.get(action="existing.price_adopted").reason == "agreed"
    assert read(root, page).has("button", data_testid="keep-price")


@pytest.mark.once
def test_a_model_of_unknown_cost_can_not_be_adopted_and_the_page_says_why(root: HttpClient) -> None:
    imported(legacy("acme/own", provider="acme"))
    row = ExistingModel.objects.get()
    page = read(root, f"{EXISTING}{row.pk}/change/")
    assert not page.has("button", data_testid="adopt-price")
    assert "its provider does not list this id" in page.text


# --- equivalents ---


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_a_manager_confirms_a_suggestion(staff: Staff) -> None:
    pair = Equivalence.objects.get()
    answer = staff("catalog manager").post(
        PAIRS, {"action": "confirm_selected", "_selected_action": [pair.pk]}, follow=True
    )
    assert "1 confirmed" in messages(answer)
    assert ExistingModel.objects.get(legacy_id="fal-ai/flux-dev").provider_cost == {"image": "0.08"}


@pytest.mark.once
@pytest.mark.usefixtures("collection")
def test_a_viewer_may_not_decide_on_pairs(staff: Staff) -> None:
    viewer = staff("viewer")
    for address in ("look", "link"):
        assert viewer.post(f"{PAIRS}{address}/", {}).status_code == 403
    viewer.post(PAIRS, {"action": "confirm_selected", "_selected_action": [Equivalence.objects.get().pk]})
    assert Equivalence.objects.get().state == "suggested"


@pytest.mark.once
def test_two_models_are_linked_by_hand(root: HttpClient) -> None:
    make_model("a/one")
    make_model("b/two", provider="other")
    typed = {"one": "a/one", "other": "other:b/two", "reason": "The vendor says so."}
    assert "Linked" in messages(root.post(f"{PAIRS}link/", typed, follow=True))
    assert Equivalence.objects.get().state == "confirmed"


@pytest.mark.once
@pytest.mark.parametrize("other", ["nobody", "a/one", "", "a\x00b"])
def test_a_link_that_makes_no_sense_is_refused_in_words(root: HttpClient, other: str) -> None:
    make_model("a/one")
    typed = {"one": "a/one", "other": other, "reason": "x"}
    assert page_of(root.post(f"{PAIRS}link/", typed, follow=True)).has("li", "error")
    assert not Equivalence.objects.exists()


@pytest.mark.once
def test_looking_again_finds_pairs(root: HttpClient) -> None:
    make_model("fal-ai/flux/dev", name="FLUX.1 [dev]")
    make_model("fal-ai/flux-1/dev", name="FLUX.1 [dev]")
    assert "1 new pairs" in messages(root.post(f"{PAIRS}look/", follow=True))


# --- calibrations ---


def planned(client: HttpClient, inputs: str, model: str = "fal-ai/flux/dev") -> Page:
    return page_of(client.post(f"{CALIBRATIONS}plan/", {"model": model, "inputs": inputs}, follow=True))


THREE = '[{"prompt": "a"}, {"prompt": "b", "num_images": 2}, {"prompt": "c", "num_images": 4}]'


@pytest.mark.once
def test_a_calibration_is_planned_observed_and_accepted(staff: Staff) -> None:
    manager = staff("catalog manager")
    give_price(make_model(), "1", "units")
    page = planned(manager, THREE)
    assert "Planned: 3 runs" in page.text
    row = Calibration.objects.get()
    decide = f"{CALIBRATIONS}{row.pk}/decide/"
    for cost in ("0.02", "0.04", "0.08"):
        manager.post(decide, {"do": "observe", "run": "0", "units": "1", "unit": "units", "cost": cost})
    page = read(manager, f"{CALIBRATIONS}{row.pk}/change/")
    assert "3 runs cost 0.02 USD per image." in page.text
    manager.post(decide, {"do": "accept"})
    assert PricePoint.objects.get(standing="current").source == "observed"


@pytest.mark.once
def test_the_form_begins_with_an_example_of_the_model(root: HttpClient) -> None:
    make_model()
    page = read(root, f"{CALIBRATIONS}plan/?model=fal-ai/flux/dev")
    assert '"prompt": "text"' in page.one("textarea").text


@pytest.mark.once
@pytest.mark.parametrize("inputs", ["[", "{}", "[]", '[{"promt": "x"}]', "[1]", ""])
def test_a_bad_plan_is_refused_and_what_was_typed_stays(root: HttpClient, inputs: str) -> None:
    make_model()
    page = planned(root, inputs)
    assert page.has("p", "errornote")
    assert page.one("textarea").text == inputs
    assert not Calibration.objects.exists()


@pytest.mark.once
def test_an_unknown_model_is_refused_by_name(root: HttpClient) -> None:
    assert "There is no model 'nobody'" in planned(root, THREE, "nobody").text


@pytest.mark.once
@pytest.mark.parametrize(
    "typed",
    [
        {"run": "9"}, {"run": "x"}, {"run": "9" * 5000}, {"cost": "free"}, {"cost": "NaN"}, {"cost": "-1"},
        {"cost": "1e999999999"}, {"units": "x"}, {"units": "1e-999999999"},
    ],
)  # fmt: skip
def test_a_run_that_makes_no_sense_is_not_recorded(root: HttpClient, typed: dict[str, str]) -> None:
    make_model()
    planned(root, THREE)
    row = Calibration.objects.get()
    form = {"do": "observe", "run": "0", "units": "1", "unit": "units", "cost": "0.1"} | typed
    assert page_of(root.post(f"{CALIBRATIONS}{row.pk}/decide/", form, follow=True)).has("li", "error")
    row.refresh_from_db()
    assert row.observations == []


@pytest.mark.once
def test_a_viewer_may_neither_plan_nor_decide(staff: Staff) -> None:
    make_model()
    viewer = staff("viewer")
    assert viewer.get(f"{CALIBRATIONS}plan/").status_code == 403
    assert viewer.post(f"{CALIBRATIONS}1/decide/", {"do": "accept"}).status_code == 403


# --- coverage ---


@pytest.fixture
def estimated() -> None:
    rows = make_models(3)
    for row, confidence, missing in zip(rows, ("exact", "derived", "unknown"), ([], [], ["duration"]), strict=True):
        ModelPricing.objects.create(
            model=row, default_confidence=confidence, default_unit="images", default_missing=missing
        )


@pytest.mark.usefixtures("estimated")
def test_every_number_of_the_coverage_leads_to_its_rows(root: HttpClient) -> None:
    page = read(root, COVERAGE)
    links = [element for element in page.all("a") if element.attributes.get("href", "").startswith(f"{PRICING}?")]
    assert len(links) > 8
    for link in links:
        count = link.text.split()[0]
        if count.isdigit():
            shown = read(root, link.attributes["href"])
            assert len(shown.all("td", "field-linked_model")) == int(count), link.attributes["href"]


@pytest.mark.once
@pytest.mark.usefixtures("estimated")
def test_the_coverage_names_what_is_missing(root: HttpClient) -> None:
    assert read(root, COVERAGE).row("duration") == ["1"]
    assert len(read(root, f"{PRICING}?missing=duration").all("td", "field-linked_model")) == 1


@pytest.mark.once
@pytest.mark.usefixtures("estimated")
@pytest.mark.parametrize("query", ["unit=%00", "confidence=nonsense", "category=nobody", "missing=%00", "unit=-"])
def test_filters_with_nonsense_break_nothing(root: HttpClient, query: str) -> None:
    read(root, f"{PRICING}?{query}")


# --- the start page, and the report of a sync ---


def test_the_start_page_counts_what_waits_and_links_to_it(root: HttpClient) -> None:
    row, other = make_models(2)
    point = {"source": "advertised", "unit": "images", "unit_price": "1"}
    PricePoint.objects.create(model=row, standing="held", **point)
    PriceRule.objects.create(model=row, source="note", state="proposed", body={"version": 1, "charges": []})
    AIModel.objects.filter(pk=other.pk).update(enabled=False, held_reason="unpriced")
    page = read(root, "/admin/")
    cards = {link.text: link.attributes["href"] for link in page.all("a", "gf-card")}
    waiting = {"1 held price": row, "1 proposed rule": row, "1 not sold for want of a price": other}
    for words, model in waiting.items():
        assert model.endpoint_id in read(root, cards[words]).text, words
    assert "0 % of default requests priced before they run" in cards


def test_the_report_of_a_sync_tells_which_new_models_have_a_price(root: HttpClient) -> None:
    give_price(make_model("a/priced"))
    make_model("b/unpriced", enabled=False, held_reason="unpriced")
    make_model("c/bare", schema_version=0, schema_state="missing")
    report = {"added": ["a/priced", "b/unpriced", "c/bare"], "totals": {}}
    run = SyncRun.objects.create(provider=make_provider(), status="succeeded", trigger="test", report=report)
    page = read(root, f"/admin/catalog/syncrun/{run.pk}/change/")
    assert "2 with a schema that is understood, 1 with a known price, 1 enabled." in page.one("div", id="new").text
    assert page.row("b/unpriced")[1:3] == ["unknown", "no"]


def test_the_report_of_a_whole_discovery_costs_few_queries(
    root: HttpClient, django_assert_max_num_queries: Any
) -> None:
    rows = make_models(1500)
    report = {"added": [row.endpoint_id for row in rows], "totals": {}}
    run = SyncRun.objects.create(provider=make_provider(), status="succeeded", trigger="test", report=report)
    with django_assert_max_num_queries(15):
        read(root, f"/admin/catalog/syncrun/{run.pk}/change/")
