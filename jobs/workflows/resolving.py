"""References made into what they stand for, once the steps that they name have made it.

A file is handed on as our own copy of it (`asset:…`), whatever its first address was: that is there as long as we keep
it, at whatever provider the next step runs, and what was read from it makes the next step's price exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.validating.problems import Problem, field_path
from jobs.assets.fetching import replaced
from jobs.assets.models import Asset
from jobs.assets.scanning import is_on
from jobs.models import Job
from jobs.workflows.plans import Planned
from pricing.counting.requests import Field
from pricing.estimates.rendering import problems_error
from pricing.workflows.references import Place, Reference, placed

_NOTHING = object()


class FilesComingError(Exception):
    """A file that is handed on is not stored yet."""


def resolved(
    step: Planned,
    sources: Mapping[str, Job],
    files: Mapping[str, Sequence[Asset]],
    inputs: Sequence[Field],
) -> dict[str, Any]:
    """The input of one run. `sources`: the jobs whose outputs it takes, by step; `files`: their files, by job.

    Raises ApiError where an output has no such thing, FilesComingError where a file is still on its way.
    """
    values: dict[Place, Any] = {}
    problems: list[Problem] = []
    for one in step.references:
        job = sources[one.step]
        value = _handed(one, job.output, files.get(job.pk, ()))
        if value is _NOTHING:
            hint = f"see the output of job {job.pk}"
            problems.append(Problem(field_path(one.place), "missing_output", f"{one.text} was not made", hint))
            continue
        values[one.place] = fitted(value, field_at(inputs, one.place))
    if problems:
        raise problems_error(problems, where="input")
    input: dict[str, Any] = placed(step.input, step.references, values)
    return input


def _handed(reference: Reference, output: Any, files: Sequence[Asset]) -> Any:
    """What lies at the reference, files as `asset:…`."""
    path = [_key(name) for name in reference.path]
    for asset in files:
        for place in asset.places:
            if _meet(place, reference.path):
                output = replaced(output, place, _address(asset))
    value = output
    for name, index in path:
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and index is not None and index < len(value):
            value = value[index]
        else:
            return _NOTHING
    return _NOTHING if value is None else value


def _address(asset: Asset) -> str | None:
    if asset.state == Asset.State.PENDING:
        raise FilesComingError(asset.pk)
    if asset.state == Asset.State.FAILED and asset.source_url and not is_on():
        # We could not get it; the provider may.
        return asset.source_url
    # One that may not be used is refused by that name when the job is accepted.
    return f"asset:{asset.pk}"


def _key(name: str) -> tuple[str, int | None]:
    return name, int(name) if name.isascii() and name.isdigit() else None


def _meet(place: Sequence[str | int], path: Sequence[str]) -> bool:
    """Whether a file's place lies at a path, or below it, or is what the path goes on into."""
    return all(str(one) == other for one, other in zip(place, path, strict=False))


def field_at(fields: Sequence[Field], place: Place) -> Field | None:
    """The field of a model's input at a place; None where the schema does not say."""
    current: Field | None = None
    for part in place:
        if isinstance(part, int):
            current = (current or {}).get("items")
        else:
            current = next((item for item in fields if item["name"] == part), None)
        if current is None:
            return None
        fields = current.get("fields", [])
    return current


def fitted(value: Any, field: Field | None) -> Any:
    """A file as the field wants it, as its address or as an object with it; one where a list is wanted as a list."""
    kind = (field or {}).get("type")
    if kind == "array" and field is not None:
        elements = value if isinstance(value, list) else [value]
        return [fitted(one, field.get("items")) for one in elements]
    if kind == "string" and isinstance(value, dict) and isinstance(value.get("url"), str):
        return value["url"]
    if kind == "object" and field is not None and (names := {item["name"] for item in field.get("fields", [])}):
        if isinstance(value, str) and "url" in names:
            return {"url": value}
        if isinstance(value, dict) and "url" in names & set(value) and not field.get("open"):
            return {name: inner for name, inner in value.items() if name in names}
    return value
