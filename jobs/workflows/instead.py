"""Models that may run a step in place of its own: all get the step's input, and must make what later steps refer to."""

from __future__ import annotations

from collections.abc import Iterable

from catalog import narrowing, published
from catalog.validating.problems import Problem
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.fallback.accepting import Alternative, Fallback
from jobs.workflows.plans import Spares, WantedStep
from pricing.estimates.addressing import find_model
from pricing.estimates.facts import facts_of
from pricing.estimates.rendering import problems_error
from pricing.workflows.references import Reference, target_of

# What is wrong with a name itself; a model that can't be had now may be had when the step starts.
_MISNAMED = {"model_not_found", "model_ambiguous"}


def alternatives(spares: Spares) -> Fallback:
    """As a job is asked for with them."""
    return "equivalent" if spares == "equivalent" else [Alternative(model) for model in spares]


def check_spares(wanted: WantedStep, read_by: Iterable[Reference], caller: Caller, *, has_limit: bool) -> None:
    """Raises ApiError for a model that is not there, or that does not make what later steps take (`read_by`)."""
    if wanted.fallback == "equivalent":
        if not has_limit:
            raise ApiError(
                "invalid_request",
                "fallback: equivalents may have other prices, and no max_price was sent.",
                "Send max_price, of the step or of the workflow: none of them is used for more.",
            )
        return
    catalog = narrowing.narrowed(published.current(), caller)
    for place, model in enumerate(wanted.fallback):
        try:
            entry = find_model(model, is_admin=False, within=catalog, client_id=caller.live_id, counts=False)
        except ApiError as error:
            if error.code in _MISNAMED:
                raise ApiError(
                    error.code, f"fallback.{place}: {error.message}", error.hint, details=error.details
                ) from None
            continue
        lost = [one for one in read_by if target_of(facts_of(entry.pk).outputs, one.path) is None]
        if lost:
            message = f"{lost[0].text} is nothing that {entry.id} makes, and a later step takes it"
            path = f"steps.{wanted.step.name}.fallback.{place}"
            raise problems_error([Problem(path, "unknown_output", message, "name a model that makes the same")])
