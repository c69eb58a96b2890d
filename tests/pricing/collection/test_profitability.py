"""Own prices against the provider's cost: loss makers first, and nothing claimed that is not known."""

import csv
import io
from decimal import Decimal

import pytest

from genfeed.journal.audit import SYSTEM
from pricing.existing.duplicates import link
from pricing.existing.enhancing import enhance
from pricing.existing.profitability import Profitability, analyze_existing_profitability, profitability_csv
from pricing.models import ExistingModel
from tests.factories import make_model
from tests.pricing.collection.rows import TESTER, give_price, imported, legacy

pytestmark = pytest.mark.django_db


def analyzed(*rows: dict) -> list[Profitability]:
    imported(*rows)
    enhance(actor=TESTER, discover=False)
    return analyze_existing_profitability()


def costing(endpoint_id: str, price: str, unit: str = "images") -> None:
    give_price(make_model(endpoint_id, metadata={"id": endpoint_id}), price, unit)


def test_loss_makers_come_first() -> None:
    for name, cost in (("a/good", "0.01"), ("b/loss", "0.08"), ("c/thin", "0.048"), ("d/worse", "0.5")):
        costing(name, cost)
    found = analyzed(*[legacy(name, name=name) for name in ("a/good", "b/loss", "c/thin", "d/worse", "e/unknown")])
    assert [(one.row.legacy_id, one.state) for one in found] == [
        ("d/worse", "loss"), ("b/loss", "loss"), ("c/thin", "thin"), ("a/good", "good"), ("e/unknown", "unknown"),
    ]  # fmt: skip


@pytest.mark.once
def test_the_margin_is_the_share_of_the_price_that_stays() -> None:
    costing("a/b", "0.02")
    worst = analyzed(legacy("a/b"))[0].worst
    assert worst is not None
    assert (worst.price, worst.cost, worst.gain, worst.margin) == (50_000_000, 20_000_000, 30_000_000, Decimal("0.6"))


@pytest.mark.once
def test_the_words_say_what_one_of_it_loses() -> None:
    costing("a/b", "0.08")
    assert analyzed(legacy("a/b"))[0].words == "Each image loses 0.03 USD."


def test_a_price_of_0_with_a_cost_is_the_worst_loss() -> None:
    costing("a/free", "0.01")
    costing("b/loss", "9")
    found = analyzed(legacy("a/free", name="A", pricing={"image": 0}), legacy("b/loss", name="B"))
    assert [one.row.legacy_id for one in found] == ["a/free", "b/loss"]


@pytest.mark.once
def test_a_fixed_price_is_held_against_the_cost_of_a_default_request() -> None:
    costing("a/b", "0.02")
    found = analyzed(legacy("a/b", pricing={"fixedPrice": 0.01}))[0]
    assert (found.state, found.words) == ("loss", "Each request loses 0.01 USD.")


@pytest.mark.once
def test_prices_of_different_things_are_not_compared() -> None:
    costing("a/b", "0.02")
    found = analyzed(legacy("a/b", pricing={"video": 0.5}))[0]
    assert (found.state, found.words) == (
        "unknown",
        "Its price is per second, its cost per image: they can't be compared.",
    )


def test_the_cost_of_a_suggested_counterpart_is_not_taken_for_its_own() -> None:
    costing("fal-ai/flux/dev", "0.02")
    found = analyzed(legacy("fal-ai/flux-dev"))[0]
    assert found.state == "unknown"
    assert found.words == "It seems to be fal-ai/flux/dev: confirm or reject that."


def test_the_cost_of_a_confirmed_counterpart_counts() -> None:
    costing("fal-ai/flux/dev", "0.02")
    imported(legacy("old/flux", name="Old"))
    row = ExistingModel.objects.get()
    other = type(row.model).objects.get(endpoint_id="fal-ai/flux/dev")
    link(row.model, other, actor=SYSTEM, reason="Known.")
    assert analyze_existing_profitability()[0].state == "good"


@pytest.mark.once
def test_a_model_without_a_price_of_its_own_is_told_apart() -> None:
    assert analyzed(legacy("a/b", pricing={}))[0].state == "unpriced"


@pytest.mark.once
def test_the_csv_has_a_line_for_each_price_and_no_negative_amount() -> None:
    costing("a/b", "0.08")
    lines = list(csv.DictReader(io.StringIO(profitability_csv(analyzed(legacy("a/b"), legacy("c/d", name="Other"))))))
    assert (lines[0]["gain_usd"], lines[0]["loss_usd"], lines[0]["cost_percent_of_price"]) == ("0", "0.03", "160.00")
    assert (lines[1]["id"], lines[1]["state"], lines[1]["price_usd"]) == ("c/d", "unknown", "")


@pytest.mark.once
def test_names_in_the_csv_are_escaped() -> None:
    lines = list(csv.DictReader(io.StringIO(profitability_csv(analyzed(legacy("a/b", name="=HYPERLINK(1)"))))))
    assert lines[0]["name"] == "'=HYPERLINK(1)"
