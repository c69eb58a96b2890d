"""What a whole workflow costs: every step for itself, all together, and what it could cost with cheaper models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catalog.validating.problems import Problem, field_path
from genfeed.clients.errors import ApiError
from pricing.choosing.alternatives import Alternatives
from pricing.counting.requests import Request, make_request
from pricing.estimates import own_files
from pricing.estimates.asking import Asking, find_asked
from pricing.estimates.costs import CONFIDENCES
from pricing.estimates.facts import Facts, facts_of_many
from pricing.estimates.history import look_up
from pricing.estimates.quotes import InputRefusedError, Quote, check_request, quote_checked, times
from pricing.estimates.rendering import problems_error, render_quote, usd
from pricing.workflows.handing_on import handed_count, handed_facts
from pricing.workflows.order import Step, check_names, count_runs, in_order
from pricing.workflows.references import (
    Reference,
    Target,
    find_references,
    media_problem,
    placed,
    placeholder,
    still_wrong,
    target_of,
)

# A list that one step hands to another is put into the other's input to be checked, and so is bounded.
MOST_HANDED = 1_000


@dataclass(frozen=True)
class PricedStep:
    """A step that was estimated: one run of it, all runs, and its request for the steps that follow.

    `media`: the facts that it was priced by, told, read from the client's own files, or handed on by earlier steps.
    """

    step: Step
    facts: Facts
    runs: int
    one: Quote
    all: Quote
    request: Request
    media: Mapping[str, Any]


def estimate_workflow(steps: Sequence[Step], asking: Asking) -> dict[str, Any]:
    """The estimate of a workflow as JSON: breakdown, order and total. Raises ApiError that names the step at fault."""
    priced = price_workflow(steps, asking)
    alternatives = Alternatives(asking)
    rendered = [_render(priced[step.name], alternatives, asking) for step in steps]
    return {"steps": rendered, "order": list(priced), "total": _total(list(priced.values()), asking)}


def price_workflow(steps: Sequence[Step], asking: Asking) -> dict[str, PricedStep]:
    """Every step by name, checked and priced, in an order in which they can run, with its references found.

    Raises ApiError that names the step at fault.
    """
    order = check_shape(steps)
    runs = count_runs(order)
    return _price_in_order(order, runs, _facts_of_steps(order, asking), asking)


def check_shape(steps: Sequence[Step]) -> list[Step]:
    """The steps with their references found, in an order in which they can run; nothing is asked of the catalog.

    Raises ApiError for what is no reference, for names used twice, unknown steps and cycles.
    """
    found = _with_references(steps)
    check_names(found)
    return in_order(found)


def _with_references(steps: Sequence[Step]) -> list[Step]:
    found, problems = [], []
    for step in steps:
        references, wrong = find_references(step.input)
        problems += _of_step(step, wrong)
        found.append(replace(step, references=tuple(references)))
    if problems:
        raise problems_error(problems)
    return found


def _of_step(step: Step, problems: Sequence[Problem]) -> list[Problem]:
    """Problems of a step's input, with the step in their path."""
    return [
        replace(one, path=f"steps.{step.name}.{'' if one.path.startswith('media') else 'input.'}{one.path}".rstrip("."))
        for one in problems
    ]


def _facts_of_steps(steps: Sequence[Step], asking: Asking) -> dict[str, Facts]:
    keys: dict[str, int] = {}
    for step in steps:
        try:
            entry = find_asked(step.model, asking)
            keys[step.name] = entry.pk
        except ApiError as error:
            raise in_step(step, error) from None
    facts = facts_of_many(keys.values())
    look_up(facts)
    return {name: facts[key] for name, key in keys.items()}


def in_step(step: Step, error: ApiError) -> ApiError:
    """The same error with the step's name."""
    details = {**(error.details or {}), "step": step.name}
    return ApiError(error.code, f"Step {step.name!r}: {error.message}", error.hint, details=details)


def _price_in_order(
    order: Sequence[Step], runs: Mapping[str, int], facts: Mapping[str, Facts], asking: Asking
) -> dict[str, PricedStep]:
    priced: dict[str, PricedStep] = {}
    problems: list[Problem] = []
    for step in order:
        try:
            priced[step.name] = _price(step, runs[step.name], facts[step.name], priced, facts, asking)
        except InputRefusedError as error:
            problems += _of_step(step, error.problems)
            # The others are checked all the same, so that one answer names all that is wrong.
            priced[step.name] = _unpriced(step, facts[step.name], asking)
    if problems:
        raise problems_error(problems)
    return priced


def _unpriced(step: Step, facts: Facts, asking: Asking) -> PricedStep:
    nothing = quote_checked(facts, {}, book=asking.book, client_id=asking.client_id, history=False)
    return PricedStep(step, facts, 1, nothing, nothing, make_request(facts.inputs, {}), {})


def _price(
    step: Step,
    runs: int,
    facts: Facts,
    priced: Mapping[str, PricedStep],
    all_facts: Mapping[str, Facts],
    asking: Asking,
) -> PricedStep:
    targets = _targets(step, facts, all_facts)
    shown = {one.place: _stand_in(one, target, priced) for one, target in targets.items()}
    own = _own_files(step, placed(step.input, step.references, shown), asking)
    filled = _checked(step, facts, own.input, targets)
    # What is no file counts for nothing yet: how long a text will be, or how large a number, is not known.
    unknown = {one.place for one, target in targets.items() if not target.media}
    known = {place: None if place in unknown else value for place, value in shown.items()}
    given = {**filled, **placed(own.input, step.references, known)}
    media = own_files.with_known(facts, given, _media(step, targets, priced), own) or {}
    one = quote_checked(facts, given, media=media, book=asking.book, client_id=asking.client_id)
    return PricedStep(step, facts, runs, one, times(one, runs), make_request(facts.inputs, given, media), media)


def _own_files(step: Step, input: Any, asking: Asking) -> own_files.OwnFiles:
    try:
        return own_files.look_up(input, asking.files_of)
    except ApiError as error:
        raise in_step(step, error) from None


def _targets(step: Step, facts: Facts, all_facts: Mapping[str, Facts]) -> dict[Reference, Target]:
    found: dict[Reference, Target] = {}
    problems: list[Problem] = []
    for one in step.references:
        outputs = all_facts[one.step].outputs
        target = target_of(outputs, one.path)
        if target is None:
            names = ", ".join(item["name"] for item in outputs)
            message = f"{one.text} is nothing that {all_facts[one.step].endpoint_id} makes"
            problems.append(Problem(field_path(one.place), "unknown_output", message, f"its outputs are: {names}"))
            continue
        wrong = media_problem(one, target, facts.inputs)
        problems += [wrong] if wrong else []
        found[one] = target
    if problems:
        raise InputRefusedError(problems)
    return found


def _stand_in(reference: Reference, target: Target, priced: Mapping[str, PricedStep]) -> Any:
    count = handed_count(priced[reference.step].request) or 1
    if target.type == "array" and count > MOST_HANDED:
        message = f"{reference.text} would be {count:,} files, and at most {MOST_HANDED:,} can be handed on"
        hint = f"let the step {reference.step!r} make fewer"
        raise InputRefusedError([Problem(field_path(reference.place), "too_many", message, hint)])
    return placeholder(reference, target, count)


def _checked(step: Step, facts: Facts, input: Any, targets: Mapping[Reference, Target]) -> dict[str, Any]:
    """The input with defaults. What stands for a reference is forgiven all that only its real value could tell."""
    try:
        return check_request(facts, input, step.media)
    except InputRefusedError as error:
        left = [problem for problem in error.problems if _stays(problem, targets)]
        if left:
            raise InputRefusedError(left) from None
        return dict(input)


def _stays(problem: Problem, targets: Mapping[Reference, Target]) -> bool:
    for one, target in targets.items():
        place = field_path(one.place)
        if problem.path == place or problem.path.startswith((f"{place}.", f"{place}[")):
            return still_wrong(problem, target)
    return True


def _media(step: Step, targets: Mapping[Reference, Target], priced: Mapping[str, PricedStep]) -> dict[str, Any]:
    """Media facts of a step: what the caller tells, else what the steps before it tell of the files they make."""
    found: dict[str, Any] = {}
    for one, target in targets.items():
        for name, value in handed_facts(target.media, priced[one.step].request).items():
            found.setdefault(name, value)
    return found | {name: value for name, value in (step.media or {}).items() if value is not None}


def _render(priced: PricedStep, alternatives: Alternatives, asking: Asking) -> dict[str, Any]:
    step = priced.step
    return {
        "name": step.name,
        "model": priced.one.model,
        "depends_on": list(step.waits_for),
        "quantity": step.quantity,
        "fan_out": step.fan_out,
        "runs": priced.runs,
        **_sums([priced.all], asking),
        "confidence": priced.one.confidence,
        "missing": list(priced.one.missing),
        "estimate": render_quote(priced.one, shows_cost=asking.shows_cost),
        "cheapest_alternative": alternatives.cheapest(priced.facts, priced.request, priced.one, step.input),
    }


def _total(priced: list[PricedStep], asking: Asking) -> dict[str, Any]:
    worst = max((one.one.confidence for one in priced), key=lambda word: CONFIDENCES.index(word))
    return {
        **_sums([one.all for one in priced], asking),
        "currency": "USD",
        "confidence": worst,
        "missing": [{"step": one.step.name, "missing": list(one.one.missing)} for one in priced if one.one.missing],
    }


def _sums(quotes: Sequence[Quote], asking: Asking) -> dict[str, str | None]:
    names = ("price", "low", "high", *(["cost"] if asking.shows_cost else []))
    return {name: usd(_sum([getattr(quote, name) for quote in quotes])) for name in names}


def _sum(amounts: Sequence[int | None]) -> int | None:
    """One amount that is not known leaves the sum unknown."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None
