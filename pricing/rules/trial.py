"""The try-out form: what an input costs by a rule that is perhaps not saved, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from catalog.schemas.examples import example_input
from catalog.validating.checking import apply_defaults, validate_input
from pricing.estimates.costs import Estimate, estimate_cost
from pricing.estimates.facts import Facts
from pricing.margins.book import load_book
from pricing.margins.terms import price_of
from pricing.money import NotMoney, format_decimal, format_usd, to_nano
from pricing.rules.check import BadRule, Rule
from pricing.rules.editing import check_for_model


@dataclass
class Trial:
    """The form as typed, and the answer: an estimate with its cost and price in USD, or problems in words."""

    body: str
    input: str
    media: str = "{}"
    problems: list[str] = field(default_factory=list)
    rule: Rule | None = None
    estimate: Estimate | None = None
    cost: str = ""
    low: str = ""
    high: str = ""
    price: str = ""
    margin: str = ""


def first_trial(facts: Facts, body: Rule | None) -> Trial:
    """The form before anything was typed: the rule as it is, the model's default request."""
    return Trial(pretty(body or {}), pretty(example_input(facts.inputs)))


def try_out(facts: Facts, model: Any, *, body: str, input: str, media: str) -> Trial:
    """Evaluates what was typed; whatever is wrong with it is in `problems`. An empty rule: the price row alone."""
    trial = Trial(body, input, media or "{}")
    rule = read_json("The rule", body or "{}", trial)
    given = read_json("The input", input or "{}", trial)
    media_facts = read_json("The media facts", media or "{}", trial)
    if trial.problems:
        return trial
    try:
        trial.rule = check_for_model(model, rule) if rule else None
    except BadRule as error:
        trial.problems += error.problems
    trial.problems += [f"input {problem.path}: {problem.message}" for problem in validate_input(facts.validator, given)]
    if trial.problems:
        return trial
    _estimate(trial, facts, apply_defaults(facts.validator, given), media_facts)
    return trial


def _estimate(trial: Trial, facts: Facts, given: dict[str, Any], media: dict[str, Any]) -> None:
    try:
        answer = estimate_cost(
            unit=facts.billed_in or facts.unit,
            unit_price=facts.unit_price,
            rule=trial.rule,
            inputs=facts.inputs,
            input=given,
            media=media,
            machine_type=facts.machine_type or None,
        )
        trial.estimate = answer
        trial.cost, trial.low, trial.high = (_usd(amount) for amount in (answer.cost, answer.low, answer.high))
        if answer.cost is not None:
            applied = load_book().applied(facts)
            trial.price, trial.margin = format_usd(price_of(to_nano(answer.cost), applied.terms)), applied.words
    except NotMoney as error:
        trial.problems.append(str(error))


def _usd(amount: Decimal | None) -> str:
    return "" if amount is None else format_decimal(+amount)


def read_json(what: str, text: str, trial: Trial) -> dict[str, Any]:
    """The object that was typed; {} and a problem where it is none."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        trial.problems.append(f"{what}: this is no JSON: {error}")
        return {}
    if not isinstance(value, dict):
        trial.problems.append(f"{what}: this must be a JSON object.")
        return {}
    return value


def pretty(value: Any) -> str:
    """JSON for a text area."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
