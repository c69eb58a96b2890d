"""The margin rules in force, read once and asked for every model and client: which terms apply, and by which rule."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from pricing.margins.terms import CORE_TERMS, DEFAULT_TERMS, Terms
from pricing.models import MarginRule
from pricing.money import format_decimal, format_usd

Key = tuple[str, object]


class Sold(Protocol):
    """What a margin rule is chosen by; `Facts` and `AIModel` have it."""

    @property
    def pk(self) -> int: ...
    @property
    def category(self) -> str: ...
    @property
    def provider_id(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Applied:
    """The terms for one model and client; `rule_id` is None in core mode and where no rule covers the model."""

    terms: Terms
    rule_id: int | None
    words: str


CORE = Applied(CORE_TERMS, None, "core mode: the price is the cost")
SHIPPED = Applied(DEFAULT_TERMS, None, "no margin rule covers this model: the shipped default")


@dataclass(frozen=True)
class RuleBook:
    """The rules in force at one moment, newest first within each scope and target. Immutable; share it freely."""

    rules: dict[Key, Applied]
    clients: frozenset[int]
    is_core: bool = False

    def applied(self, model: Sold, client_id: int | None = None) -> Applied:
        """The terms for a model: the most specific scope wins, then the newest rule."""
        if self.is_core:
            return CORE
        for key in _keys(model, client_id):
            found = self.rules.get(key)
            if found is not None:
                return found
        return SHIPPED

    def own_scope(self, client_id: int | None) -> str:
        """What tells the prices of this client from everybody's: "" where it has no rules of its own."""
        return f"c{client_id}" if client_id in self.clients else ""


def _keys(model: Sold, client_id: int | None) -> Iterable[Key]:
    """Where rules for a model are looked for, the most specific scope first (DESIGN section 5)."""
    if client_id is not None:
        yield "client_model", (client_id, model.pk)
    yield "model", model.pk
    if client_id is not None:
        yield "client", client_id
    yield "category", model.category
    yield "provider", model.provider_id
    yield "global", None


def target_of(rule: MarginRule) -> Key:
    """The scope and target of a rule; two rules with the same one compete, and the newer wins."""
    target: dict[str, object] = {
        "client_model": (rule.client_id, rule.model_id),
        "model": rule.model_id,
        "client": rule.client_id,
        "category": rule.category,
        "provider": rule.provider_id,
    }
    return rule.scope, target.get(rule.scope)


def terms_of(rule: MarginRule) -> Terms:
    """The terms that a rule was checked for when it was saved."""
    rate = Decimal(rule.rate)
    return Terms(rule.mode, rate, rule.fixed_price, rule.fee, rule.minimum)  # type: ignore[arg-type]


def describe(terms: Terms) -> str:
    """Terms in words: `70 % margin, at least 0.001 USD a charge`."""
    if terms.mode == "fixed":
        words = [f"fixed price of {format_usd(terms.fixed_price)} USD a request"]
    else:
        words = [f"{format_decimal(terms.rate * 100)} % {terms.mode}"]
    if terms.fee:
        words.append(f"plus {format_usd(terms.fee)} USD a charge")
    if terms.minimum:
        words.append(f"at least {format_usd(terms.minimum)} USD a charge")
    return ", ".join(words)


def in_force(now: datetime) -> Q:
    """Rules that count at this moment."""
    begun = Q(starts_at=None) | Q(starts_at__lte=now)
    return begun & (Q(ends_at=None) | Q(ends_at__gt=now)) & Q(is_active=True)


def load_book(now: datetime | None = None) -> RuleBook:
    """The rules in force at `now` (None: this moment), in one query; in core mode none count."""
    if settings.GENFEED_MODE == "core":
        return RuleBook({}, frozenset(), is_core=True)
    return make_book(MarginRule.objects.filter(in_force(now or timezone.now())))


def make_book(rules: Iterable[MarginRule]) -> RuleBook:
    """A book of these rules, whatever their dates; of two with the same target the newer one counts."""
    found: dict[Key, Applied] = {}
    clients: set[int] = set()
    # A rule that is not saved yet is the newest of all.
    for rule in sorted(rules, key=lambda rule: (rule.pk is None, rule.created_at, rule.pk or 0)):
        terms = terms_of(rule)
        words = f"{describe(terms)} (margin rule for {rule.get_scope_display()})"
        found[target_of(rule)] = Applied(terms, rule.pk, words)
        if rule.client_id is not None:
            clients.add(rule.client_id)
    return RuleBook(found, frozenset(clients))


def unit_terms(terms: Terms) -> Terms:
    """What of the terms goes for a single unit: fee and minimum fall due once a charge, not once a unit."""
    return replace(terms, fee=0, minimum=0)
