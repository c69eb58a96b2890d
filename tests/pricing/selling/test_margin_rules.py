"""Margin rules: which one applies, what is refused, and what saving or ending one does."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import AIModel, CatalogState
from genfeed.clients.models import Client
from genfeed.journal.models import AuditEvent, OutboxEvent
from pricing.margins import rules as margin_rules
from pricing.margins.rules import BadRule, Draft, end_rule, load_book, save_rule
from pricing.margins.terms import CORE_TERMS, DEFAULT_TERMS
from pricing.models import MarginRule
from tests.factories import make_model
from tests.pricing.selling.priced import FINANCE, add_rule, make_priced, price_of_model

pytestmark = pytest.mark.django_db

TOMORROW = timedelta(days=1)


@pytest.fixture
def acme() -> Client:
    return Client.objects.create(name="Acme")


@pytest.fixture
def flux() -> AIModel:
    return make_priced("fal-ai/flux/dev")


def test_an_installation_begins_with_seventy_percent_and_a_tenth_of_a_cent(flux: AIModel) -> None:
    applied = load_book().applied(flux)

    assert applied.terms == DEFAULT_TERMS
    assert applied.words == "70 % margin, at least 0.001 USD a charge (margin rule for everything)"


@pytest.mark.once
@pytest.mark.parametrize(("mode", "price"), [("margin", "0.083333333"), ("markup", "0.0425")])
def test_seventy_percent_reads_as_margin_or_as_markup(mode: str, price: str, flux: AIModel) -> None:
    add_rule(mode=mode, rate="0.70", minimum="0.01")

    assert price_of_model(flux) == price


def test_the_most_specific_scope_wins_whatever_the_order_of_making(acme: Client, flux: AIModel) -> None:
    add_rule("client_model", client_id=acme.pk, model_id=flux.pk, rate="0.1")
    add_rule("model", model_id=flux.pk, rate="0.2")
    add_rule("client", client_id=acme.pk, rate="0.3")
    add_rule("category", category="text-to-image", rate="0.4")
    add_rule("provider", provider_id=flux.provider_id, rate="0.5")
    add_rule(rate="0.6")
    found = []
    for _ in range(6):
        applied = load_book().applied(flux, acme.pk)
        found.append(applied.terms.rate)
        end_rule(MarginRule.objects.get(pk=applied.rule_id), actor=FINANCE)

    assert found == [Decimal(f"0.{n}") for n in range(1, 7)]


def test_other_clients_and_models_are_not_touched_by_a_narrow_rule(acme: Client, flux: AIModel) -> None:
    other = make_model("fal-ai/other", category="text-to-video")
    beta = Client.objects.create(name="Beta")
    add_rule("client_model", client_id=acme.pk, model_id=flux.pk, rate="0.1")
    add_rule("category", category="text-to-image", rate="0.4")
    book = load_book()

    assert book.applied(flux, beta.pk).terms.rate == Decimal("0.4")
    assert book.applied(other, acme.pk).terms.rate == Decimal("0.7")
    assert (book.own_scope(acme.pk), book.own_scope(beta.pk), book.own_scope(None)) == (f"c{acme.pk}", "", "")


def test_of_two_rules_for_the_same_target_the_newer_wins(flux: AIModel) -> None:
    add_rule(rate="0.5")
    newest = add_rule(rate="0.6")

    assert load_book().applied(flux).rule_id == newest.pk


def test_the_rule_before_stands_again_once_the_newer_one_ended(flux: AIModel) -> None:
    add_rule(rate="0.5", mode="markup")
    end_rule(add_rule(rate="0.9"), actor=FINANCE)

    assert price_of_model(flux) == "0.0375"


def test_without_any_rule_the_shipped_default_counts(flux: AIModel) -> None:
    end_rule(MarginRule.objects.get(), actor=FINANCE)

    assert load_book().applied(flux).terms == DEFAULT_TERMS
    assert "shipped default" in load_book().applied(flux).words


def test_core_mode_adds_nothing_whatever_the_rules_say(flux: AIModel, settings: Any) -> None:
    add_rule("model", model_id=flux.pk, rate="0.9", minimum="1")
    settings.GENFEED_MODE = "core"

    assert load_book().applied(flux).terms == CORE_TERMS


def test_a_rule_counts_between_its_dates_only(flux: AIModel) -> None:
    start = timezone.now() + TOMORROW
    rule = add_rule(rate="0.2", starts_at=start, ends_at=start + TOMORROW)

    before, during, after = (
        load_book(start + shift).applied(flux).rule_id for shift in (-TOMORROW, TOMORROW / 2, TOMORROW)
    )
    assert (before == rule.pk, during == rule.pk, after == rule.pk) == (False, True, False)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"rate": "-0.1"}, "rate", "negative"),
    ({"rate": "1"}, "rate", "has no price"),
    ({"rate": "70"}, "rate", "has no price"),
    ({"rate": "NaN"}, "rate", "finite"),
    ({"rate": "Infinity", "mode": "markup"}, "rate", "finite"),
    ({"rate": float("nan")}, "rate", "finite"),
    ({"rate": "seventy"}, "rate", "no number"),
    ({"rate": ""}, "rate", "no number"),
    ({"rate": None}, "rate", "no number"),
    ({"rate": True}, "rate", "no number"),
    ({"rate": "0.99999"}, "rate", "slip"),
    ({"rate": "20000", "mode": "markup"}, "rate", "slip"),
    ({"rate": "0.1234567890123456789012"}, "rate", "20 characters"),
    ({"mode": "percent"}, "mode", "must be one of"),
    ({"fee": -1}, "fee", "negative"),
    ({"minimum": -1}, "minimum", "negative"),
    ({"minimum": 10**19}, "minimum", "million"),
    ({"fee": 0.5}, "fee", "whole nano-USD"),
    ({"mode": "fixed", "fixed_price": -1}, "fixed_price", "negative"),
    ({"scope": "client"}, "client", "needs a client"),
    ({"scope": "model"}, "model", "needs a model"),
    ({"scope": "category"}, "category", "needs a category"),
    ({"scope": "provider"}, "provider", "needs a provider"),
    ({"scope": "client_model"}, "client", "needs a client"),
    ({"scope": "galaxy"}, "scope", "must be one of"),
    ({"category": "text-to-image"}, "category", "takes no category"),
    ({"model_id": 1}, "model", "takes no model"),
    ({"scope": "model", "model_id": 10**6}, "model", "There is no model"),
    ({"scope": "category", "category": "text-to-smell"}, "category", "would never apply"),
    ({"scope": "category", "category": "a\x00"}, "category", "no category|never apply"),
    ({"note": "a\x00"}, "note", "null"),
    ({"mode": "fixed", "fixed_price": 5}, "scope", "every model"),
    ({"scope": "category", "category": "text-to-image", "mode": "fixed"}, "fixed_price", "above 0"),
    (
        {"scope": "category", "category": "text-to-image", "mode": "fixed", "fixed_price": 5, "rate": "0.5"},
        "rate", "takes no rate",
    ),
    ({"fixed_price": 5}, "fixed_price", "takes no fixed price"),
    ({"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "ends_at", "past"),
    ({"ends_at": datetime(2090, 1, 1, tzinfo=UTC), "starts_at": datetime(2091, 1, 1, tzinfo=UTC)}, "ends_at", "before"),
    ({"starts_at": datetime(2090, 1, 1)}, "starts_at", "time zone"),
]  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(("values", "field", "words"), REFUSED)
def test_nonsense_is_refused_by_field_and_nothing_is_lost(
    values: dict[str, Any], field: str, words: str, flux: AIModel
) -> None:
    before = (MarginRule.objects.count(), AuditEvent.objects.count(), CatalogState.objects.get().revision)
    with pytest.raises(BadRule, match=words) as refused:
        save_rule(Draft(**({"scope": "global", "rate": "0.5"} | _without_rate(values))), actor=FINANCE)

    assert refused.value.field == field
    assert (MarginRule.objects.count(), AuditEvent.objects.count(), CatalogState.objects.get().revision) == before


def _without_rate(values: dict[str, Any]) -> dict[str, Any]:
    return {"rate": "0"} | values if values.get("mode") == "fixed" else values


def test_a_rule_that_says_what_stands_already_is_refused(flux: AIModel) -> None:
    with pytest.raises(BadRule, match="says the same already"):
        add_rule(rate="0.70", minimum="0.001")


def test_going_back_to_older_terms_is_no_repetition(flux: AIModel) -> None:
    add_rule(rate="0.5")
    add_rule(rate="0.70", minimum="0.001")

    assert load_book().applied(flux).terms == DEFAULT_TERMS


def test_a_rule_may_not_silently_undo_one_that_is_to_come(flux: AIModel) -> None:
    start = timezone.now() + TOMORROW
    planned = add_rule(rate="0.2", starts_at=start, ends_at=start + TOMORROW)

    with pytest.raises(BadRule, match=f"Rule {planned.pk} is to start"):
        add_rule(rate="0.3")


def test_a_rule_that_ends_before_the_planned_one_is_taken(flux: AIModel) -> None:
    start = timezone.now() + TOMORROW
    add_rule(rate="0.2", starts_at=start)

    assert add_rule(rate="0.3", ends_at=start).pk


def test_saving_is_audited_with_the_actor_and_the_terms(flux: AIModel) -> None:
    rule = save_rule(Draft("global", rate="0.5", note="autumn"), actor=FINANCE, reason="too dear")

    event = AuditEvent.objects.get(action="margin_rule.added")
    assert (event.actor_name, event.reason, event.object_id) == ("finance", "too dear", str(rule.pk))
    assert (event.after["terms"], event.after["note"]) == ("50 % margin", "autumn")


def test_ending_is_audited_and_happens_once(flux: AIModel) -> None:
    rule = add_rule(rate="0.5")

    assert [end_rule(rule, actor=FINANCE, reason="enough") for _ in range(2)] == [True, False]
    assert AuditEvent.objects.get(action="margin_rule.ended").reason == "enough"


def test_one_change_is_one_revision_and_one_event_for_each_price_that_changed(flux: AIModel) -> None:
    make_priced("fal-ai/video", category="text-to-video")
    revision = CatalogState.objects.get().revision
    OutboxEvent.objects.all().delete()
    add_rule("category", category="text-to-image", rate="0.5")

    assert CatalogState.objects.get().revision == revision + 1
    event = OutboxEvent.objects.get()
    assert (event.kind, event.subject) == ("model.price_changed", "fal:fal-ai/flux/dev")
    assert (event.payload["previous"]["amount"], event.payload["price"]["amount"]) == ("0.083333333", "0.05")


def test_a_rule_for_one_client_publishes_a_revision_and_tells_nobody_else(acme: Client, flux: AIModel) -> None:
    revision = CatalogState.objects.get().revision
    OutboxEvent.objects.all().delete()
    add_rule("client", client_id=acme.pk, rate="0.5")

    assert CatalogState.objects.get().revision == revision + 1
    assert not OutboxEvent.objects.exists()
    assert price_of_model(flux) == "0.083333333"


def test_a_failure_while_prices_are_written_leaves_no_rule(flux: AIModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> int:
        raise RuntimeError("disk full")

    monkeypatch.setattr(margin_rules, "reprice", fail)
    with pytest.raises(RuntimeError):
        add_rule(rate="0.5")

    assert MarginRule.objects.count() == 1
    assert not AuditEvent.objects.filter(action="margin_rule.added").exists()
