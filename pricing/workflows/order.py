"""The shape of a workflow: which step waits for which, in what order they can run, and how often each does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from genfeed.clients.errors import ApiError
from pricing.workflows.references import Reference

MOST_RUNS = 1_000_000


@dataclass(frozen=True)
class Step:
    """One step as it was asked for. `fan_out`: runs for each run of the steps it depends on; None: it has its own."""

    name: str
    model: str
    input: Mapping[str, Any]
    quantity: int = 1
    depends_on: tuple[str, ...] = ()
    fan_out: int | None = None
    media: Mapping[str, Any] | None = None
    references: tuple[Reference, ...] = field(default=())

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The steps that it depends on, said or by reference, each once."""
        return tuple(dict.fromkeys([*self.depends_on, *(one.step for one in self.references)]))


def check_names(steps: Sequence[Step]) -> None:
    """Raises ApiError for names that are used twice and for steps that are waited for but not there."""
    names = [step.name for step in steps]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ApiError(
            "invalid_request",
            f"More than one step is called {_listed(twice)}.",
            "Give every step a name of its own.",
            details={"steps": twice},
        )
    lost = [(step.name, name) for step in steps for name in step.waits_for if name not in names]
    if lost:
        near = get_close_matches(lost[0][1], names, n=1)
        words = "; ".join(f"step {step!r} waits for {name!r}, which is no step" for step, name in lost[:5])
        raise ApiError(
            "invalid_request",
            f"{words[:1].upper()}{words[1:]}.",
            f"Did you mean {near[0]!r}?" if near else f"Steps are: {_listed(names[:10])}.",
            details={"unknown_steps": sorted({name for _, name in lost})},
        )


def in_order(steps: Sequence[Step]) -> list[Step]:
    """The steps so that each comes after those it waits for, else as they were given. Raises ApiError for a cycle."""
    by_name = {step.name: step for step in steps}
    waiting = {step.name: set(step.waits_for) for step in steps}
    order: list[Step] = []
    while waiting:
        ready = [name for name, others in waiting.items() if not others]
        if not ready:
            cycle = list(_cycle(by_name, waiting))
            raise ApiError(
                "invalid_request",
                f"These steps wait for each other: {' → '.join(cycle)}.",
                "Take one of these dependencies or references out.",
                details={"cycle": cycle},
            )
        for name in ready:
            del waiting[name]
            order.append(by_name[name])
        for others in waiting.values():
            others.difference_update(ready)
    return order


def _cycle(by_name: Mapping[str, Step], waiting: Mapping[str, set[str]]) -> Iterator[str]:
    """Follows the waiting steps until one comes again; yields the circle, its first step at both ends."""
    path: list[str] = []
    name = next(iter(waiting))
    while name not in path:
        path.append(name)
        name = next(other for other in by_name[name].waits_for if other in waiting)
    yield from [*path[path.index(name) :], name]


def count_runs(order: Sequence[Step]) -> dict[str, int]:
    """How often each step runs: its quantity, times its fan-out for every run of the busiest step it waits for.

    Raises ApiError where that leaves all bounds.
    """
    runs: dict[str, int] = {}
    for step in order:
        count = step.quantity
        if step.fan_out is not None:
            count *= step.fan_out * max((runs[name] for name in step.waits_for), default=1)
        if count > MOST_RUNS:
            raise ApiError(
                "invalid_request",
                f"Step {step.name!r} would run {count:,} times; at most {MOST_RUNS:,} can be estimated.",
                "Lower its quantity or the fan-out on the way to it.",
            )
        runs[step.name] = count
    return runs


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
