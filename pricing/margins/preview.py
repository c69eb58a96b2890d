"""What a change of margin rules would do to all selling prices, before anything is written."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from catalog.models import AIModel
from pricing.existing.kept_offers import kept_offers
from pricing.margins.book import RuleBook, describe, in_force, make_book, target_of, terms_of
from pricing.margins.terms import Terms, price_of, true_margin
from pricing.models import MarginRule
from pricing.money import format_usd, parse_usd
from pricing.selling.offers import Sellable, load_sellables
from pricing.selling.prices import shown_price

BIGGEST = 20
EXAMPLES = 12


@dataclass(frozen=True)
class PriceChange:
    """What one model sells for before and after: a default request where its cost is known, else one unit.

    Amounts are decimal strings in USD; `margin` is the share of the new price that stays, in percent, None where the
    cost is not known; `percent` is the change.
    """

    model: AIModel
    of: str
    cost: str | None
    before: str
    after: str
    percent: Decimal
    margin: Decimal | None


@dataclass(frozen=True)
class Preview:
    """`when`: the moment for which prices are compared. `client`: whose they are, "" for everybody's.

    `unknown`: models without a price before or after. `below_cost`: models that would be sold for less than they cost.
    `replaces`: the rule for the same target that counts now, "" where there is none.
    """

    when: datetime
    client: str
    up: int = 0
    down: int = 0
    same: int = 0
    unknown: int = 0
    below_cost: int = 0
    replaces: str = ""
    biggest: list[PriceChange] = field(default_factory=list)
    examples: list[PriceChange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Paid:
    """What somebody pays for `of`, in nano-USD, and what that costs us where it is known."""

    of: str
    price: int
    cost: int | None


def preview_save(rule: MarginRule, *, now: datetime | None = None) -> Preview:
    """What a rule (checked, not saved) would do once it is in force."""
    when = max(now or timezone.now(), rule.starts_at or rule.created_at)
    rules = _rules_at(when)
    rivals = [other for other in rules if target_of(other) == target_of(rule)]
    newest = max(rivals, key=lambda other: (other.created_at, other.pk), default=None)
    replaces = f"rule {newest.pk}, {describe_rule(newest)}" if newest else ""
    return _compare(rule, when, make_book(rules), make_book([*rules, rule]), replaces)


def preview_end(rule: MarginRule, *, now: datetime | None = None) -> Preview:
    """What ending a rule would do; for one that is still to start: what will then not happen."""
    when = max(now or timezone.now(), rule.starts_at or rule.created_at)
    rules = _rules_at(when)
    return _compare(rule, when, make_book(rules), make_book(other for other in rules if other.pk != rule.pk), "")


def describe_rule(rule: MarginRule) -> str:
    """A rule in words: for whom, and on what terms."""
    client, model, provider = rule.client, rule.model, rule.provider
    names = (client and client.name, model and model.endpoint_id, rule.category, provider and provider.name)
    return f"{', '.join(name for name in names if name) or 'everything'}: {describe(terms_of(rule))}"


def _rules_at(when: datetime) -> list[MarginRule]:
    return list(MarginRule.objects.filter(in_force(when)).select_related("client", "model", "provider"))


def _compare(rule: MarginRule, when: datetime, before: RuleBook, after: RuleBook, replaces: str) -> Preview:
    client_id, client = rule.client_id, rule.client
    kept = kept_offers()
    counts = dict.fromkeys(("up", "down", "same", "unknown", "below_cost"), 0)
    moved: list[tuple[Sellable, _Paid, _Paid]] = []
    for model in load_sellables():
        old = _paid(model, before.applied(model, client_id).terms)
        new = _paid(model, after.applied(model, client_id).terms)
        if model.pk in kept or (old == new and old is not None):
            counts["same"] += 1
        elif old is None or new is None:
            counts["unknown"] += 1
        else:
            counts["up" if new.price > old.price else "down" if new.price < old.price else "same"] += 1
            counts["below_cost"] += new.cost is not None and new.price < new.cost
            moved.append((model, old, new))
    # The dearer one first where two change alike: percentages of tiny prices differ by rounding alone.
    moved.sort(key=lambda item: (-round(abs(_percent(item[1], item[2])), 1), -item[2].price, item[0].pk))
    spread = moved[:: max(1, len(moved) // EXAMPLES)][:EXAMPLES]
    return Preview(
        when, client.name if client else "", **counts, replaces=replaces,
        biggest=_changes(moved[:BIGGEST]), examples=_changes(spread),
    )  # fmt: skip


def _paid(model: Sellable, terms: Terms) -> _Paid | None:
    standing = model.standing
    if standing.default_cost is not None:
        return _Paid("default request", price_of(standing.default_cost, terms), standing.default_cost)
    price = shown_price(standing, terms)
    if price["amount"] is None:
        return None
    cost = parse_usd(standing.unit_cost) if standing.unit_cost and terms.mode != "fixed" else None
    return _Paid(f"one unit ({price['unit'] or 'no name'})", parse_usd(price["amount"]), cost)


def _percent(old: _Paid, new: _Paid) -> Decimal:
    return Decimal(100) * (new.price - old.price) / old.price if old.price else Decimal(100)


def _changes(found: Iterable[tuple[Sellable, _Paid, _Paid]]) -> list[PriceChange]:
    found = list(found)
    rows = AIModel.objects.select_related("provider").in_bulk([model.pk for model, _, _ in found])
    changes = []
    for model, old, new in found:
        share = true_margin(new.cost, new.price) if new.cost is not None else None
        changes.append(
            PriceChange(
                model=rows[model.pk],
                of=new.of,
                cost=None if new.cost is None else format_usd(new.cost),
                before=format_usd(old.price),
                after=format_usd(new.price),
                percent=_percent(old, new),
                margin=None if share is None else share * 100,
            )
        )
    return changes
