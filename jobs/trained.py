"""What a training job made, as a model that can be run: a base with the weights, or the id it gave, fixed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from catalog.models import AIModel, SchemaVersion
from jobs.models import Job, Status
from jobs.testmode.mode import is_test

_WEIGHTS = re.compile(r"lora|weight|adapter|checkpoint|embedding", re.IGNORECASE)
_ADDRESS = re.compile(r"path|url|file", re.IGNORECASE)


@dataclass(frozen=True)
class Trained:
    """The model that it is of, whose input would be fixed; `base` None where nothing says what it is for."""

    base: AIModel | None
    bases: list[str]
    fixed_input: dict[str, Any]
    files: dict[str, str]


def is_training(job: Job) -> bool:
    """Whether the job made something that can be run."""
    if is_test(job):
        return False
    return job.status == Status.SUCCEEDED and job.model.kind == "training" and isinstance(job.output, dict)


def read(job: Job) -> Trained:
    """What can be read from a succeeded training job and from what its provider says of the model."""
    bases = bases_of(job.model)
    output: dict[str, Any] = job.output or {}
    files = _files(output)
    for base in bases:
        if fixed := fixed_input(base, output, files):
            return Trained(base, [one.endpoint_id for one in bases], fixed, files)
    return Trained(bases[0] if bases else None, [one.endpoint_id for one in bases], {}, files)


def bases_of(training: AIModel) -> list[AIModel]:
    """The models that run what this one trains, as the provider's own records tell, from either side."""
    ids = _texts(training.metadata.get("inference_endpoint_ids"))
    here = AIModel.objects.filter(provider_id=training.provider_id, kind="inference").exclude(
        Q(status=AIModel.Status.RETIRED) | Q(schema_version=0)
    )
    rows = {row.endpoint_id: row for row in here.filter(endpoint_id__in=ids)}
    if found := [rows[one] for one in ids if one in rows]:
        return found
    # By Python: SQLite can't look into a list of JSON.
    told_back = here.filter(metadata__has_key="training_endpoint_ids").order_by("endpoint_id")
    return [row for row in told_back if training.endpoint_id in _texts(row.metadata["training_endpoint_ids"])]


def _texts(told: Any) -> list[str]:
    """The texts of what should be a list of them: providers and clouds write their records as they please."""
    return [one for one in told if isinstance(one, str)] if isinstance(told, list) else []


def fixed_input(base: AIModel, output: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """The inputs of `base` that the output of a training fills: an id of the same name, or its place for weights."""
    version = SchemaVersion.objects.filter(model=base, number=base.schema_version).first()
    inputs = version.unpacked["inputs"] if version else []
    same = {
        item["name"]: output[item["name"]]
        for item in inputs
        if item["type"] == "string" and not item.get("media") and isinstance(output.get(item["name"]), str)
        and item["name"].endswith(("_id", "_uri", "_name"))
    }  # fmt: skip
    if same:
        return same
    weights = next((url for name, url in files.items() if _WEIGHTS.search(name)), "")
    place = next((item for item in inputs if _WEIGHTS.search(item["name"]) and _holds(item)), None)
    return {place["name"]: _filled(place, weights)} if weights and place else {}


def _holds(item: Mapping[str, Any]) -> bool:
    """Whether a field can hold the address of a file of weights."""
    element = item.get("items", {}) if item["type"] == "array" else item
    return element.get("type") == "string" or (item["type"] == "array" and _address_field(element) is not None)


def _address_field(element: Mapping[str, Any]) -> str | None:
    texts = [one for one in element.get("fields", []) if one["type"] == "string" and _ADDRESS.search(one["name"])]
    return texts[0]["name"] if texts else None


def _filled(item: Mapping[str, Any], url: str) -> Any:
    if item["type"] != "array":
        return url
    name = _address_field(item.get("items", {}))
    return [{name: url}] if name else [url]


def _files(output: Mapping[str, Any]) -> dict[str, str]:
    """The files of an output by the names of their fields."""

    def found() -> Iterator[tuple[str, str]]:
        for name, value in output.items():
            if isinstance(value, dict) and isinstance(value.get("url"), str):
                yield name, value["url"]

    return dict(found())
