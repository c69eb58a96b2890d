"""The history of a model's selling price: everybody's as it was recorded, one client's by its own rules of the time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.db.models import Q

from catalog.models import AIModel
from pricing.existing.kept_offers import kept_offers
from pricing.margins.book import RuleBook, make_book
from pricing.margins.terms import Terms
from pricing.models import MarginRule, ModelPricing, SellingPrice
from pricing.selling.prices import shown_price
from pricing.selling.standing import Standing


@dataclass(frozen=True, slots=True)
class Period:
    """A price from a moment on, until `ends_at` (None: still). `unit_cost`: USD; `default_cost`: nano-USD."""

    starts_at: datetime
    price: dict[str, Any]
    unit_cost: str
    default_cost: int | None
    reason: str
    ends_at: datetime | None = None


def periods_of(model: AIModel, client_id: int | None = None) -> list[Period]:
    """The selling prices of a model, newest first, each until the next; of one client by the rules it had.

    Rules are never edited, so what they made of a cost at any moment can be told for ever.
    """
    recorded = [
        Period(row.effective_from, row.price, row.unit_cost, row.default_cost, row.reason)
        for row in SellingPrice.objects.filter(model=model).order_by("effective_from", "pk")
    ]
    own = _own_rules(model, client_id)
    # Of several in one moment the last stands.
    recorded = list({period.starts_at: period for period in recorded}.values())
    periods = list(_by_own_rules(recorded, model, client_id, own)) if own else recorded
    closed = [replace(period, ends_at=after.starts_at) for period, after in pairwise(periods)]
    return [*closed, *periods[-1:]][::-1]


def _own_rules(model: AIModel, client_id: int | None) -> list[MarginRule]:
    """Rules that this client, and nobody else, has or had for this model."""
    if client_id is None or settings.GENFEED_MODE == "core" or kept_offers([model.pk]):
        return []
    scopes = Q(scope="client") | Q(scope="client_model", model=model)
    return list(MarginRule.objects.filter(scopes, client=client_id))


def _by_own_rules(
    recorded: list[Period], model: AIModel, client_id: int | None, own: list[MarginRule]
) -> Iterator[Period]:
    rivals = Q(scope="global") | Q(scope="category", category=model.category) | Q(scope="provider")
    others = list(MarginRule.objects.filter(rivals | Q(scope="model", model=model)))
    moments = {period.starts_at for period in recorded}
    moments |= {moment for rule in own for moment in (_begin(rule), rule.ends_at) if moment is not None}
    last: Period | None = None
    for moment in sorted(moments):
        base = next((period for period in reversed(recorded) if period.starts_at <= moment), None)
        if base is None:
            continue
        book = book_at(moment, [*own, *others])
        applied, common = book.applied(model, client_id), book.applied(model)
        period = replace(base, starts_at=moment)
        if applied.rule_id != common.rule_id:
            period = replace(period, price=_price(base, applied.terms), reason=applied.words)
        if last is None or last.price != period.price:
            last = period
            yield period


def _price(base: Period, terms: Terms) -> dict[str, Any]:
    """A recorded price as other terms would have made it; what it was then a price of is recorded with it."""
    recorded = base.price
    if recorded["state"] == ModelPricing.State.UNKNOWN:
        return recorded
    standing = Standing(
        state=recorded["state"], unit=recorded["unit"], unit_cost=base.unit_cost or None, varies=recorded["varies"]
    )
    return shown_price(standing, terms)


def book_at(moment: datetime, rules: Iterable[MarginRule]) -> RuleBook:
    """The rules that were in force at a moment, whatever has become of them since."""
    return make_book(
        rule for rule in rules if _begin(rule) <= moment and (rule.ends_at is None or rule.ends_at > moment)
    )


def _begin(rule: MarginRule) -> datetime:
    """A rule that is dated back counts from the day it was made."""
    return max(rule.created_at, rule.starts_at) if rule.starts_at else rule.created_at
