"""The pages of margin rules: a preview first, then the change, for finance only."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client as HttpClient

from catalog.models import AIModel, CatalogState
from genfeed.clients.models import Client
from genfeed.journal.models import AuditEvent
from pricing.models import MarginRule
from tests.admin.pages import Page
from tests.pricing.selling.priced import add_rule, make_priced, price_of_model

pytestmark = pytest.mark.django_db

ADD = "/admin/pricing/marginrule/add/"
LIST = "/admin/pricing/marginrule/"
FORM = {
    "scope": "global", "mode": "margin", "rate": "50 %", "fixed_price": "0", "fee": "0", "minimum": "0.001",
    "note": "autumn", "reason": "too dear",
}  # fmt: skip


@pytest.fixture
def flux() -> AIModel:
    return make_priced()


@pytest.fixture
def finance(staff: Callable[[str], HttpClient]) -> HttpClient:
    return staff("finance")


def page_of(answer: HttpResponse) -> Page:
    assert answer.status_code == 200
    return Page(answer.content.decode())


def first_change(page: Page) -> list[str]:
    """The first row of the first table of changes."""
    return next(row for row in page.rows if len(row) == 7 and row[0] != "Model")


def preview(browser: HttpClient, **values: Any) -> Page:
    return page_of(browser.post(ADD, FORM | values | {"do": "preview"}))


def confirm(client: HttpClient, page: Page) -> HttpResponse:
    """Presses Save under a preview: what it posts are the hidden fields of the preview's own form."""
    hidden = {element.attributes["name"]: element.attributes["value"] for element in page.all("input", type="hidden")}
    return client.post(ADD, hidden | {"do": "save"}, follow=True)


def test_a_preview_tells_what_would_change_and_writes_nothing(finance: HttpClient, flux: AIModel) -> None:
    make_priced("fal-ai/veo", "0.4", "seconds", category="text-to-video", media_type="video")
    revision = CatalogState.objects.get().revision
    page = preview(finance, scope="category", category="text-to-image")

    assert page.one(data_testid="preview-down").text == "1 cheaper"
    assert page.one(data_testid="preview-up").text == "0 dearer"
    assert first_change(page) == [
        "fal-ai/flux/dev",
        "default request",
        "0.025",
        "0.083333333",
        "0.05",
        "-40.0 %",
        "50.0 %",
    ]
    assert (MarginRule.objects.count(), CatalogState.objects.get().revision) == (1, revision)
    assert price_of_model(flux) == "0.083333333"


def test_a_confirmed_preview_is_saved_and_reaches_the_prices(finance: HttpClient, flux: AIModel) -> None:
    page = page_of(confirm(finance, preview(finance)))

    assert page.messages == ["Saved: everything: 50 % margin, at least 0.001 USD a charge. Prices follow it now."]
    assert price_of_model(flux) == "0.05"
    event = AuditEvent.objects.get(action="margin_rule.added")
    assert (event.actor_name, event.reason) == ("a finance", "too dear")


@pytest.mark.once
def test_what_was_not_previewed_is_not_saved(finance: HttpClient, flux: AIModel) -> None:
    hidden = preview(finance)
    seal = hidden.one("input", name="seal").attributes["value"]
    page = page_of(finance.post(ADD, FORM | {"rate": "0.9", "do": "save", "seal": seal}))

    assert "nothing is saved yet" in page.text
    assert MarginRule.objects.count() == 1


@pytest.mark.once
def test_a_minimum_shows_in_the_preview_though_unit_prices_stay(finance: HttpClient, flux: AIModel) -> None:
    page = preview(finance, rate="0.70", minimum="1")

    assert page.one(data_testid="preview-up").text == "1 dearer"
    assert first_change(page)[2:5] == ["0.025", "0.083333333", "1"]


@pytest.mark.once
def test_a_preview_names_the_rule_that_is_replaced(finance: HttpClient, flux: AIModel) -> None:
    newer = add_rule(rate="0.6")

    assert f"It replaces rule {newer.pk}, everything: 60 % margin." in preview(finance).text


@pytest.mark.once
def test_a_price_below_cost_is_pointed_out(finance: HttpClient, flux: AIModel) -> None:
    page = preview(
        finance, scope="model", model="fal-ai/flux/dev", mode="fixed", rate="0", fixed_price="0.01", minimum="0"
    )

    assert "1 below cost" in page.text


@pytest.mark.once
def test_a_preview_for_one_client_compares_its_own_prices(finance: HttpClient, flux: AIModel) -> None:
    acme = Client.objects.create(name="Acme")
    add_rule("client", client_id=acme.pk, rate="0.2")
    page = preview(finance, scope="client", client=str(acme.pk), minimum="0")

    assert first_change(page)[3:5] == ["0.03125", "0.05"]
    assert "Prices to Acme" in page.text


@pytest.mark.once
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rate": "100 %"}, "has no price"),
        ({"rate": "-5 %"}, "negative"),
        ({"rate": "nan"}, "finite"),
        ({"rate": "lots"}, "no number"),
        ({"minimum": "-1"}, "Minimum charge can't be negative: '-1'"),
        ({"fee": "1e999999999"}, "Fee has more than 40 places"),
        ({"rate": "1e-999999999"}, "Rate has more than 40 places"),
        ({"rate": "1e999999999 %"}, "rate has more than 40 places"),
        ({"fee": "inf"}, "finite"),
        ({"minimum": "1e30"}, "does not fit"),
        ({"scope": "model"}, "needs a model"),
        ({"scope": "model", "model": "fal-ai/none"}, "no such model"),
        ({"category": "text-to-image"}, "takes no category"),
        ({"ends_at": "2020-01-01 00:00"}, "past"),
        ({"starts_at": "soon"}, "valid date"),
        ({"scope": "galaxy"}, "valid choice"),
    ],
)
def test_a_refused_rule_says_why_and_keeps_what_was_typed(
    finance: HttpClient, flux: AIModel, values: dict[str, str], words: str
) -> None:
    page = preview(finance, **values)

    assert words in page.text
    assert "Nothing was saved" in page.text
    assert page.one("input", name="note").attributes["value"] == "autumn"
    assert MarginRule.objects.count() == 1


def test_the_list_tells_which_rules_stand(finance: HttpClient, flux: AIModel) -> None:
    add_rule(rate="0.5", note="newer")

    page = page_of(finance.get(LIST))
    assert [element.text for element in page.all("td", "field-state")] == ["in force", "replaced"]


def test_a_rule_s_page_shows_what_ending_it_would_do_and_ends_it(finance: HttpClient, flux: AIModel) -> None:
    rule = add_rule(rate="0.5")
    address = f"{LIST}{rule.pk}/change/"
    page = page_of(finance.get(address))
    assert first_change(page)[3:5] == ["0.05", "0.083333333"]

    page = page_of(finance.post(address, {"reason": "over"}, follow=True))
    assert page.messages[0].startswith("Ended: everything: 50 % margin")
    assert price_of_model(flux) == "0.083333333"
    assert not page.has(data_testid="end-rule")


@pytest.mark.once
@pytest.mark.parametrize("role", ["viewer", "catalog manager"])
def test_others_look_and_change_nothing(staff: Callable[[str], HttpClient], role: str, flux: AIModel) -> None:
    browser, rule = staff(role), MarginRule.objects.get()
    address = f"{LIST}{rule.pk}/change/"

    assert browser.get(LIST).status_code == 200
    assert not page_of(browser.get(address)).has(data_testid="end-rule")
    assert [browser.get(ADD).status_code, browser.post(ADD, FORM).status_code] == [403, 403]
    assert browser.post(address, {}).status_code == 403
    assert browser.get(f"{LIST}{rule.pk}/delete/").status_code == 403
    assert MarginRule.objects.filter(is_active=True).count() == 1


def test_the_list_costs_no_query_a_rule(finance: HttpClient, flux: AIModel, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        add_rule(rate=f"0.{number + 10}")

    with django_assert_max_num_queries(10):
        finance.get(LIST)


@pytest.mark.once
def test_no_page_brings_inline_style_or_script(finance: HttpClient, flux: AIModel) -> None:
    pages = [preview(finance), page_of(finance.get(f"/admin/pricing/sellingprice/model/{flux.pk}/"))]

    for page in pages:
        main = page.html[page.html.index("<main") :]
        assert " style=" not in main
        assert "<style" not in main
        assert " onclick=" not in main
