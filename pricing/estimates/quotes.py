"""What a request costs and what the client pays, before it runs: checked input, units, cost, margin rule, price."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import Context, Decimal
from difflib import get_close_matches
from typing import Any

from catalog.validating.checking import apply_defaults, validate_input
from catalog.validating.problems import Problem
from pricing.counting.requests import MEDIA_FACTS, Request, make_request
from pricing.counting.units import normalise_unit
from pricing.estimates.costs import COMPUTE_SECONDS, Estimate, estimate_cost
from pricing.estimates.deadlines import deadline_seconds
from pricing.estimates.facts import Facts
from pricing.estimates.history import history_of
from pricing.estimates.observed import observed_p99
from pricing.existing.kept_prices import KEPT_WORDS, kept_price
from pricing.margins.book import Applied, RuleBook, load_book
from pricing.margins.terms import Terms, price_of
from pricing.money import NotMoney, format_decimal, parse_price, to_nano

BOOK_SECONDS = 1.0
# Units are shown to explain; the cost is made from the exact number.
_SHOWN = Context(prec=15)
# Of media facts: so many mistakes are named, and what was meant is said of so many.
_MOST_PROBLEMS, _MOST_GUESSES = 200, 5
_FREE = "a person has confirmed that it is free"
_book: tuple[float, RuleBook] | None = None
_lock = threading.Lock()


class InputRefusedError(ValueError):
    """An input (or media facts) that the model does not take; `problems` names everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Quote:
    """A frozen estimate with the terms behind it, all of it JSON (`as_json`, `of_json`); amounts in nano-USD.

    `cost` and `price` are None when the confidence is `unknown`. `low` and `high` are prices; `high` is what a hold
    would be, None where nothing bounds it. `basis` explains the cost, `reasons` the same without any amount. `rule`
    is the price rule that made it (None: the flat row), `margin` the terms that made the price of it.
    """

    model: str
    provider: str
    schema_version: int
    cost: int | None
    cost_low: int | None
    cost_high: int | None
    price: int | None
    low: int | None
    high: int | None
    unit: str
    units: str | None
    unit_price: str | None
    confidence: str
    basis: str
    reasons: str
    missing: tuple[str, ...]
    media: dict[str, str]
    rule: dict[str, Any] | None
    rule_source: str
    margin: dict[str, Any]
    margin_rule: int | None
    margin_words: str

    def as_json(self) -> dict[str, Any]:
        """What `of_json` reads again."""
        return asdict(self)

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Quote:
        """A quote that was stored; fields that a later version dropped are ignored."""
        known = {field.name for field in fields(cls)}
        kept = {name: value for name, value in stored.items() if name in known}
        return cls(**{**kept, "missing": tuple(stored["missing"])})


def quote(
    facts: Facts,
    input: Any,
    *,
    media: Mapping[str, Any] | None = None,
    book: RuleBook | None = None,
    client_id: int | None = None,
    history: bool = True,
) -> Quote:
    """Quote one request. `media`: facts that the input can't show, by name. Raises InputRefusedError.

    Without `book` the margin rules in force count, at most a second old. `history` False asks no database.
    """
    filled = check_request(facts, input, media)
    return quote_checked(facts, filled, media=media, book=book, client_id=client_id, history=history)


def check_request(facts: Facts, input: Any, media: Any = None) -> dict[str, Any]:
    """The input with the model's defaults filled in. Raises InputRefusedError with every problem named."""
    problems = validate_input(facts.validator, input) + media_problems(media)
    if problems:
        raise InputRefusedError(problems)
    return apply_defaults(facts.validator, input)


def media_problems(media: Any) -> list[Problem]:
    """What is wrong with media facts: unknown names, values that are no finite numbers of 0 or more."""
    if media is None:
        return []
    if not isinstance(media, dict):
        hint = 'send facts by name, for example {"input_video_seconds": 12.5}'
        return [Problem("media", "not_an_object", "the media facts are no object", hint)]
    problems: list[Problem] = []
    for name, value in media.items():
        if len(problems) == _MOST_PROBLEMS:
            break
        path = f"media.{name[:80]}"
        if name not in MEDIA_FACTS:
            # Of very many made-up names, the first ones tell as much as all.
            near = get_close_matches(name[:80], MEDIA_FACTS, n=1) if len(problems) < _MOST_GUESSES else []
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(MEDIA_FACTS)}"
            problems.append(Problem(path, "unknown_field", "there is no media fact of this name", hint))
            continue
        try:
            if value is not None and parse_price(value, what=name) >= 10**12:
                raise NotMoney(f"{name} is absurdly large")
        except NotMoney as error:
            problems.append(Problem(path, "not_a_number", str(error)[:200], "send a number of 0 or more"))
    return problems


def quote_checked(
    facts: Facts,
    filled: Mapping[str, Any],
    *,
    media: Mapping[str, Any] | None = None,
    book: RuleBook | None = None,
    client_id: int | None = None,
    history: bool = True,
) -> Quote:
    """Quote an input that `check_request` returned."""
    request = make_request(facts.inputs, filled, media)
    answer = _estimate(facts, request, history=history)
    applied = (book or current_book()).applied(facts, client_id)
    try:
        return _kept(facts, request, _priced(facts, request, answer, applied))
    except NotMoney as error:
        absurd = Estimate(None, None, None, None, answer.unit, None, "unknown", f"no sane price: {error}", ("price",))
        return _priced(facts, request, absurd, applied)


def current_book() -> RuleBook:
    """The margin rules in force, at most a second old."""
    global _book
    now = time.monotonic()
    with _lock:
        if _book and now - _book[0] < BOOK_SECONDS:
            return _book[1]
    found = load_book()
    with _lock:
        _book = (now, found)
    return found


def forget() -> None:
    """Forgets what was remembered; for tests."""
    global _book
    with _lock:
        _book = None


def _estimate(facts: Facts, request: Request, *, history: bool) -> Estimate:
    if facts.rule is None and facts.is_free and facts.unit_price == 0:
        zero = Decimal(0)
        return Estimate(zero, zero, zero, None, normalise_unit(facts.unit or ""), zero, "exact", _FREE, (), _FREE)
    unit = facts.billed_in or facts.unit
    # Where time is what is billed, the bound leaves the room that the job's deadline will.
    is_timed = history and normalise_unit(unit or "") == COMPUTE_SECONDS
    deadline = deadline_seconds(facts, request, observed=observed_p99(facts.pk) if is_timed else None)
    asked: dict[str, Any] = {
        "unit": unit,
        "unit_price": facts.unit_price,
        "rule": facts.rule,
        "proposed": facts.proposed,
        "inputs": facts.inputs,
        "input": request.given,
        "media": request.media,
        "machine_type": facts.machine_type or None,
        "deadline_seconds": deadline,
    }
    answer = estimate_cost(**asked)
    # History costs a query: it is asked only where it can say more, and it says more than a bound by the deadline.
    if history and answer.confidence in ("unknown", "bounded"):
        past = history_of(facts, request.given)
        return estimate_cost(**asked, history=past) if past else answer
    return answer


def _priced(facts: Facts, request: Request, answer: Estimate, applied: Applied) -> Quote:
    cost = None if answer.cost is None else to_nano(answer.cost)
    cost_low = None if answer.low is None else to_nano(answer.low)
    cost_high = None if answer.high is None else to_nano(answer.high)
    # What is known for certain bounds itself.
    cost_high = cost if cost_high is None else cost_high
    return Quote(
        model=facts.endpoint_id,
        provider=facts.provider,
        schema_version=facts.schema_version,
        cost=cost,
        cost_low=cost_low,
        cost_high=cost_high,
        price=_price(cost, applied.terms),
        low=_price(cost_low, applied.terms),
        high=_price(cost_high, applied.terms),
        unit=answer.unit,
        units=None if answer.units is None else format_decimal(_SHOWN.plus(answer.units)),
        unit_price=None if answer.unit_price is None else format_decimal(answer.unit_price),
        confidence=answer.confidence,
        basis=answer.basis,
        reasons=answer.reasons or _without_money(answer),
        missing=answer.missing,
        media={name: format_decimal(value) for name, value in request.media.items()},
        rule=facts.rule,
        rule_source=facts.rule_source,
        margin=terms_as_json(applied.terms),
        margin_rule=applied.rule_id,
        margin_words=applied.words,
    )


def _kept(facts: Facts, request: Request, made: Quote) -> Quote:
    """The quote of a model of the existing collection: its owner's price stands, whatever it costs us."""
    found = kept_price(facts.kept, request) if facts.kept else None
    if found is None:
        return made
    price = to_nano(found.low) if found.low is not None and found.known else None
    return replace(
        made,
        price=price,
        low=None if found.low is None else to_nano(found.low),
        high=None if found.high is None else to_nano(found.high),
        confidence="unknown" if price is None else "derived" if found.assumed else "exact",
        basis=f"{KEPT_WORDS}: {found.basis}",
        reasons=f"{KEPT_WORDS}: {found.basis}",
        missing=found.missing,
        margin={},
        margin_rule=None,
        margin_words=KEPT_WORDS,
    )


def _price(cost: int | None, terms: Terms) -> int | None:
    return None if cost is None else price_of(cost, terms)


def _without_money(answer: Estimate) -> str:
    return answer.basis if answer.confidence == "unknown" else ""


def terms_as_json(terms: Terms) -> dict[str, Any]:
    """Terms as a quote keeps them: mode, rate as a decimal string, amounts in nano-USD."""
    return {**asdict(terms), "rate": format_decimal(terms.rate)}


def times(one: Quote, runs: int) -> Quote:
    """The quote of `runs` such requests, each charged by itself."""
    multiplied: dict[str, Any] = {
        name: None if getattr(one, name) is None else getattr(one, name) * runs
        for name in ("cost", "cost_low", "cost_high", "price", "low", "high")
    }
    return replace(one, **multiplied)
