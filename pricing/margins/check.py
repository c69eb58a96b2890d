"""What a margin rule must be to be taken: refused with the field and the reason, before anything is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from pricing.margins.book import describe, target_of, terms_of
from pricing.margins.terms import BadMargin, read_terms
from pricing.models import MarginRule
from pricing.money import NANO_PER_USD, format_decimal

_TARGETS = {
    "client_model": ("client_id", "model_id"),
    "model": ("model_id",),
    "client": ("client_id",),
    "category": ("category",),
    "provider": ("provider_id",),
    "global": (),
}
_WORDS = {"client_id": "client", "model_id": "model", "category": "category", "provider_id": "provider"}
# Nothing is sold at ten thousand times its cost, or for a million dollars: such a rule is a slip of the keyboard.
LARGEST_FACTOR = 10_000
LARGEST_AMOUNT = 1_000_000 * NANO_PER_USD
_LONGEST_RATE = MarginRule._meta.get_field("rate").max_length or 20


class BadRule(BadMargin):
    """A margin rule that is refused; `field` names what to mend, "" where it is the rule as a whole."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Draft:
    """A margin rule that somebody wants. Amounts in nano-USD; `rate` a number or its text, 0.70 for 70 %."""

    scope: str
    mode: str = "margin"
    rate: object = "0"
    fixed_price: int = 0
    fee: int = 0
    minimum: int = 0
    client_id: int | None = None
    model_id: int | None = None
    category: str = ""
    provider_id: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    note: str = ""


def check_draft(draft: Draft, standing: Iterable[MarginRule], *, now: datetime | None = None) -> MarginRule:
    """The rule that a draft means, not saved. `standing`: the active rules beside which it would stand.

    Raises BadRule.
    """
    now = now or timezone.now()
    check_target(draft)
    rule = _build(draft, now)
    _check_dates(rule, now)
    rivals = [other for other in standing if target_of(other) == target_of(rule)]
    newest = max(rivals, key=lambda other: (other.created_at, other.pk), default=None)
    if newest is not None:
        _check_says_more(rule, newest, now)
    for other in rivals:
        _check_beside(rule, other, now)
    return rule


def check_target(draft: Draft) -> None:
    """Refuses a scope that is none, one without its target, and a target that the scope does not take."""
    if draft.scope not in _TARGETS:
        raise BadRule(f"The scope must be one of {', '.join(_TARGETS)}, not {draft.scope!r}.", "scope")
    wanted = _TARGETS[draft.scope]
    for name, words in _WORDS.items():
        value = getattr(draft, name)
        if name in wanted and value in (None, ""):
            raise BadRule(f"A rule for the scope {_scope_words(draft.scope)} needs a {words}.", words)
        if name not in wanted and value not in (None, ""):
            raise BadRule(
                f"A rule for the scope {_scope_words(draft.scope)} takes no {words}; leave it empty, or choose another "
                "scope.", words,
            )  # fmt: skip
    if "\x00" in draft.note:
        raise BadRule("A note holds no null characters.", "note")
    if "\x00" in draft.category or len(draft.category) > 80:
        raise BadRule("The category is no category: use the provider's word, e.g. text-to-image.", "category")


def _build(draft: Draft, now: datetime) -> MarginRule:
    rate = draft.rate.strip() if isinstance(draft.rate, str) else draft.rate
    try:
        terms = read_terms(draft.mode, rate=rate, fixed_price=draft.fixed_price, fee=draft.fee, minimum=draft.minimum)
    except BadMargin as error:
        raise BadRule(_sentence(str(error)), _named_field(str(error))) from None
    text = format_decimal(terms.rate)
    if len(text) > _LONGEST_RATE:
        raise BadRule(f"A rate has at most {_LONGEST_RATE} characters; {text[:30]}… is longer.", "rate")
    factor = 1 / (1 - terms.rate) if terms.mode == "margin" else 1 + terms.rate
    if factor > LARGEST_FACTOR:
        raise BadRule(
            f"A rate of {text} multiplies every cost by {factor:,.0f}. That is taken for a slip: 0.70 means 70 %.",
            "rate",
        )
    for name in ("fixed_price", "fee", "minimum"):
        if getattr(terms, name) > LARGEST_AMOUNT:
            raise BadRule(f"The {name.replace('_', ' ')} is above a million USD. That is taken for a slip.", name)
    _check_mode(draft, terms)
    return MarginRule(
        scope=draft.scope, client_id=draft.client_id, model_id=draft.model_id, category=draft.category,
        provider_id=draft.provider_id, mode=terms.mode, rate=text, fixed_price=terms.fixed_price, fee=terms.fee,
        minimum=terms.minimum, starts_at=draft.starts_at, ends_at=draft.ends_at, note=draft.note[:300], created_at=now,
    )  # fmt: skip


def _check_mode(draft: Draft, terms: Any) -> None:
    if terms.mode == "fixed" and terms.rate:
        raise BadRule("A fixed price takes no rate; set it to 0, or choose another mode.", "rate")
    if terms.mode == "fixed" and not terms.fixed_price:
        raise BadRule("A fixed price must be above 0: nothing is sold for nothing by a rule.", "fixed_price")
    if terms.mode != "fixed" and terms.fixed_price:
        raise BadRule(
            f"The mode {terms.mode} takes no fixed price; set it to 0, or choose the mode fixed.", "fixed_price"
        )
    if terms.mode == "fixed" and draft.scope == "global":
        raise BadRule("One fixed price for every model is taken for a slip; choose a narrower scope.", "scope")


def _check_dates(rule: MarginRule, now: datetime) -> None:
    for name in ("starts_at", "ends_at"):
        moment = getattr(rule, name)
        if moment is not None and timezone.is_naive(moment):
            raise BadRule("A moment needs its time zone.", name)
    if rule.ends_at is not None and rule.ends_at <= now:
        raise BadRule("The rule would end in the past, and so never apply.", "ends_at")
    if rule.ends_at is not None and rule.starts_at is not None and rule.ends_at <= rule.starts_at:
        raise BadRule("The rule would end before it starts.", "ends_at")


def _check_says_more(rule: MarginRule, newest: MarginRule, now: datetime) -> None:
    same_period = max(_begin(newest), now) == max(_begin(rule), now) and newest.ends_at == rule.ends_at
    if same_period and terms_of(newest) == terms_of(rule):
        raise BadRule(f"Rule {newest.pk} says the same already: {describe(terms_of(rule))}.")


def _check_beside(rule: MarginRule, other: MarginRule, now: datetime) -> None:
    """Of two rules for the same target the newer wins, so a new one may not silently undo what was meant to come."""
    begin, end = _begin(rule), rule.ends_at
    covers = begin <= _begin(other) and (end is None or (other.ends_at is not None and other.ends_at <= end))
    if _begin(other) > now and covers:
        raise BadRule(
            f"Rule {other.pk} is to start at {_begin(other):%Y-%m-%d %H:%M} UTC for the same target, and would never "
            "apply, since the newer rule wins. End that one first, or let this one end before it starts.", "starts_at",
        )  # fmt: skip


def _begin(rule: MarginRule) -> datetime:
    return rule.starts_at or rule.created_at


def _scope_words(scope: str) -> str:
    return f"“{MarginRule.Scope(scope).label}”"


def _named_field(message: str) -> str:
    for words, name in (("fixed price", "fixed_price"), ("fee", "fee"), ("minimum", "minimum"), ("mode", "mode")):
        if message.startswith(words):
            return name
    return "rate"


def _sentence(message: str) -> str:
    return f"{message[0].upper()}{message[1:]}."
