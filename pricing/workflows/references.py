"""References of a workflow: `{"$ref": "steps.<name>.output.images.0.url"}` stands for what an earlier step will make.

What it will be is not known when a workflow is priced, but what kind of thing it is: the earlier model's own output
schema says so. A reference is put into the input as a value of that kind, so that the input can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.schemas.mapping import DEEPEST_INPUT
from catalog.validating.problems import Problem, field_path
from pricing.counting.requests import Field, media_kind

_REFERENCE = re.compile(r"steps\.([A-Za-z0-9_-]{1,64})\.output((?:\.[^.\s]{1,100}){1,20})")
_HINT = 'write {"$ref": "steps.<name>.output.<field>"}, for example steps.picture.output.images.0.url'
# What stands for a file or a text that is not there yet.
_STAND_INS: dict[str, Any] = {"string": "", "integer": 1, "number": 1.0, "boolean": True}
# Of a value that is not there yet, only this can be wrong already.
_WRONG_ANYHOW = ("unknown_field", "not_allowed")
_PLACEHOLDER = "https://reference.invalid/{step}/{path}"

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Reference:
    """One reference: where it stands in the input, the step that it names, and the way into that step's output."""

    place: Place
    step: str
    path: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it was written."""
        return f"steps.{self.step}.output.{'.'.join(self.path)}"


@dataclass(frozen=True)
class Target:
    """What a reference leads to: its type ("any" where the schema does not say) and the media it carries."""

    type: str
    media: str | None = None


def find_references(input: Any) -> tuple[list[Reference], list[Problem]]:
    """All references in an input, and what looks like one but is none."""
    found: list[Reference] = []
    problems: list[Problem] = []
    for place, text in _walk(input, ()):
        match = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
        if match:
            found.append(Reference(place, match[1], tuple(match[2].split(".")[1:])))
        else:
            problems.append(Problem(field_path(place), "bad_reference", "is no reference to a step's output", _HINT))
    return found, problems


def _walk(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    if len(place) > DEEPEST_INPUT:
        return
    if isinstance(value, dict):
        if "$ref" in value:
            yield place, value["$ref"] if len(value) == 1 else None
            return
        for name, inner in value.items():
            yield from _walk(inner, (*place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _walk(inner, (*place, number))


def target_of(outputs: Sequence[Field], path: Sequence[str]) -> Target | None:
    """What lies at a path of a model's mapped outputs; None where there is certainly nothing."""
    if not outputs:
        return Target("any")
    current: Field | None = {"type": "object", "fields": list(outputs)}
    media: str | None = None
    for name in path:
        assert current is not None  # noqa: S101 - every turn below leaves one, or returns
        if current["type"] == "any":
            return Target("any", media)
        if current["type"] in _STAND_INS:
            return None
        if current["type"] == "array":
            if not name.isdigit():
                return None
            media = media_kind(current)
            current = current.get("items") or {"type": "any"}
            continue
        inner = next((item for item in current.get("fields", []) if item["name"] == name), None)
        if inner is None:
            is_open = current.get("open") or not current.get("fields")
            return Target("any", media if name == "url" else None) if is_open else None
        # A file's URL is the file; its other fields are facts about it.
        media = media_kind(inner) or (media_kind(current) if name == "url" else None)
        current = inner
    assert current is not None  # noqa: S101 - as above
    return Target(current["type"], media_kind(current) or media)


def placed(input: Any, references: Sequence[Reference], values: Mapping[Place, Any]) -> Any:
    """The input with values in the places of its references. The input is not changed."""
    places = {reference.place for reference in references}

    def put(value: Any, place: Place) -> Any:
        if place in places:
            return values[place]
        if isinstance(value, dict):
            return {name: put(inner, (*place, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [put(inner, (*place, number)) for number, inner in enumerate(value)]
        return value

    return put(input, ())


def placeholder(reference: Reference, target: Target, count: int) -> Any:
    """A value that stands for what is not there yet; `count` elements where it is a list."""
    text = _PLACEHOLDER.format(step=reference.step, path="/".join(reference.path))
    if target.type == "array":
        return [f"{text}/{number}" for number in range(count)]
    return _STAND_INS.get(target.type) or text


def still_wrong(problem: Problem, target: Target) -> bool:
    """Whether a problem with what stands for a reference is one of the reference itself.

    A file fits wherever its kind does, as URL or as object; of other values only the type is known, not the bounds.
    """
    is_file = target.media is not None and target.type != "array"
    if is_file or target.type in ("any", "object"):
        return problem.code in _WRONG_ANYHOW
    return problem.code in (*_WRONG_ANYHOW, "type")


def media_problem(reference: Reference, target: Target, inputs: Sequence[Field]) -> Problem | None:
    """The wrong kind of file for a field that says what it takes."""
    wanted = _media_at(inputs, reference.place)
    if not wanted or not target.media or "file" in (wanted, target.media) or wanted == target.media:
        return None
    message = f"takes {wanted}, and {reference.text} is {target.media}"
    return Problem(field_path(reference.place), "wrong_media", message, f"refer to an output that is {wanted}")


def _media_at(fields: Sequence[Field], place: Place) -> str | None:
    media: str | None = None
    for part in place:
        if isinstance(part, int):
            continue
        item = next((field for field in fields if field["name"] == part), None)
        if item is None:
            return media if part == "url" else None
        media = media_kind(item)
        fields = item.get("fields") or item.get("items", {}).get("fields", [])
    return media
