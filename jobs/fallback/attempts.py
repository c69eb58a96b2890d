"""Which models a job may be run by, in order, as its row keeps them: `{"requested", "attempts": [...]}`.

Each attempt is `{"model", "provider", "status", "code", "message"}`. One is `chosen`, to run the job; those before it
were `passed_over`, with the reason; each `spare` has the columns that the job gets when its turn comes, quoted and
frozen when the job was accepted, with the key that it is to run with; they go when the job ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Plan = dict[str, Any]
# Code of the closed list, and words for the client.
Reason = tuple[str, str]

PASSED_OVER, CHOSEN, SPARE = "passed_over", "chosen", "spare"


def attempt(
    model: str, provider: str | None, status: str, why: Reason | None = None, columns: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One attempt, as the row keeps it."""
    code, message = why or (None, None)
    made = {"model": model, "provider": provider, "status": status, "code": code, "message": message}
    return made if columns is None else {**made, "columns": dict(columns)}


def has_spare(plan: Plan | None) -> bool:
    """Whether an alternative is left."""
    return next(spares(plan), None) is not None


def spares(plan: Plan | None) -> Iterator[int]:
    """The places of the alternatives that are left, in order."""
    for place, one in enumerate(plan["attempts"] if plan else []):
        if "columns" in one:
            yield place


def most_held(hold: int, plan: Plan | None) -> int:
    """The most that a job may come to hold, in nano-USD: an alternative that is left may be dearer."""
    left = plan["attempts"] if plan else []
    return max([hold, *(one["columns"]["hold_amount"] for one in left if "columns" in one)])


def without_columns(plan: Plan | None) -> Plan | None:
    """The plan of a job that needs no alternative any more, without what they would have been sent."""
    if plan is None:
        return None
    bare = [{name: value for name, value in one.items() if name != "columns"} for one in plan["attempts"]]
    return {**plan, "attempts": bare}


def choose(plan: Plan, place: int, *, why: Reason, passed: Mapping[int, Reason]) -> Plan:
    """The plan once the alternative at a place runs the job. `why` the chosen one before it does not any more; `passed`
    the reasons why those between them do not."""
    changed = []
    for at, one in enumerate(plan["attempts"]):
        if one["status"] == CHOSEN:
            changed.append(attempt(one["model"], one["provider"], PASSED_OVER, why))
        elif at == place:
            changed.append(attempt(one["model"], one["provider"], CHOSEN))
        elif at in passed:
            changed.append(attempt(one["model"], one["provider"], PASSED_OVER, passed[at]))
        else:
            changed.append(one)
    return {**plan, "attempts": changed}


def render_attempts(plan: Plan | None) -> list[dict[str, Any]]:
    """The attempts as clients see them; none of a job without alternatives."""
    bare = without_columns(plan)
    return bare["attempts"] if bare else []


def away(provider: str) -> Reason:
    """The reason where a provider takes nothing now."""
    return "provider_unavailable", f"{provider} does not take requests right now."
