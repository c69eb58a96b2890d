"""A request made for one model, put to another: the fields that both know, files where the other takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.schemas.examples import example_input
from catalog.validating.checking import validate_input
from pricing.counting.requests import Field, media_kind
from pricing.estimates.facts import Facts

_FILES = ("image", "video", "audio", "3d", "file")


@dataclass(frozen=True)
class Fitted:
    """An input that the other model takes, and the names of given fields that it has no place for."""

    input: dict[str, Any]
    left_out: tuple[str, ...]


def fit(facts: Facts, given: Mapping[str, Any], inputs: list[Field]) -> Fitted | None:
    """`given` was made for a model with `inputs`. None where a file or a text that was given finds no place."""
    own = {item["name"]: item for item in facts.inputs}
    asked = {name: value for name, value in given.items() if value is not None}
    wanted = {name: value for name, value in asked.items() if name in own}
    for item in inputs:
        kind, name = media_kind(item), item["name"]
        if kind not in _FILES or name not in asked or name in own:
            continue
        place = next(_places(facts.inputs, kind, wanted), None)
        if place is None:
            return None
        wanted[place["name"]] = _reshaped(asked[name], place)
    if "prompt" in asked and "prompt" not in own:
        return None
    candidate = {**example_input(facts.inputs), **wanted}
    problems = validate_input(facts.validator, candidate)
    for problem in problems:
        candidate.pop(problem.path.split(".")[0].split("[")[0], None)
    if problems and validate_input(facts.validator, candidate):
        return None
    unplaced = [item["name"] for item in inputs if media_kind(item) in _FILES and item["name"] not in own]
    left_out = [name for name in asked if name not in candidate and name not in unplaced]
    return Fitted(candidate, tuple(left_out))


def _places(inputs: list[Field], kind: str, taken: Mapping[str, Any]) -> Iterator[Field]:
    """Fields for a file of a kind that nothing was put into yet, required ones first."""
    free = [item for item in inputs if media_kind(item) == kind and item["name"] not in taken]
    yield from sorted(free, key=lambda item: not item.get("required"))


def _reshaped(value: Any, place: Field) -> Any:
    """One file as a list of one and the other way round, as the field takes it."""
    if place["type"] == "array":
        return value if isinstance(value, list) else [value]
    return value[0] if isinstance(value, list) and value else value
