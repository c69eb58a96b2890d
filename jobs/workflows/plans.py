"""A workflow as it runs: its steps in an order in which they can, as JSON and read from it.

A plan is made once, when the workflow is accepted, and never changes: neither a template's next version nor a price
of tomorrow reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from jobs.accepting.accept import Cache
from jobs.accepting.secret_inputs import secret_names, with_sealed
from pricing.workflows.estimate import PricedStep
from pricing.workflows.order import Step
from pricing.workflows.references import Reference, find_references

OnError = Literal["fail", "continue"]
# Models that may run a step instead, in order, all with its own input.
Spares = Sequence[str] | Literal["equivalent"]


@dataclass(frozen=True, slots=True)
class WantedStep:
    """A step that a client asks for. `max_price` of one run, in nano-USD; `on_error`: what a failure means;
    `metadata`: the notes of its jobs."""

    step: Step
    max_price: int | None = None
    on_error: OnError = "fail"
    cache: Cache = ""
    fallback: Spares = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """A step as it runs, `runs` times.

    `secret`: the fields of its input that are sealed.
    `waits_for`: the steps that must have ended before, those of its references first named by `depends_on` or not.
    `media`: facts about files that the client told; `priced_media` those that the price was made by before the start,
    what earlier steps were to hand on among them. `price`, `low`, `high`: of all runs, nano-USD, None while unknown.
    """

    name: str
    model: str
    input: Mapping[str, Any]
    secret: tuple[str, ...]
    quantity: int
    fan_out: int | None
    runs: int
    depends_on: tuple[str, ...]
    waits_for: tuple[str, ...]
    media: Mapping[str, Any] | None
    priced_media: Mapping[str, Any]
    max_price: int | None
    on_error: OnError
    cache: Cache
    price: int | None
    low: int | None
    high: int | None
    confidence: str
    missing: tuple[str, ...]
    # Plans of before these were have neither.
    fallback: Spares = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def references(self) -> list[Reference]:
        """What its input takes from other steps."""
        return find_references(self.input)[0]

    def as_json(self) -> dict[str, Any]:
        """What `read_plan` reads again."""
        return asdict(self)


def planned(wanted: WantedStep, priced: PricedStep) -> Planned:
    """A step with what pricing found of it; its secrets are sealed."""
    step, quote = priced.step, priced.all
    secret = secret_names(step.input, priced.facts.inputs)
    return Planned(
        name=step.name,
        model=f"{quote.provider}:{quote.model}",
        input=with_sealed(step.input, secret),
        secret=tuple(secret),
        quantity=step.quantity,
        fan_out=step.fan_out,
        runs=priced.runs,
        depends_on=step.depends_on,
        waits_for=step.waits_for,
        media=step.media,
        priced_media={name: str(value) for name, value in priced.media.items()},
        max_price=wanted.max_price,
        on_error=wanted.on_error,
        cache=wanted.cache,
        price=quote.price,
        low=quote.low,
        high=quote.high,
        confidence=quote.confidence,
        missing=quote.missing,
        fallback=wanted.fallback,
        metadata=wanted.metadata,
    )


def read_plan(stored: list[dict[str, Any]]) -> dict[str, Planned]:
    """The steps of a workflow by name, in an order in which they can run."""
    lists = ("secret", "depends_on", "waits_for", "missing")
    return {one["name"]: Planned(**{**one, **{name: tuple(one[name]) for name in lists}}) for one in stored}


def run_of(index: int, runs: int, others: int) -> int:
    """Which of another step's runs one run of a step takes up: they are spread evenly over its own, in order."""
    return index * others // runs
