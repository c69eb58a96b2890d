"""A model's input and output schemas, read from its OpenAPI document."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from genfeed.sandbox.catalog import Model

Schema = dict[str, Any]
KEPT = 400


@dataclass(slots=True)
class Contract:
    """`inputs` and `outputs` are None where the document cannot be had; then any body is good."""

    endpoint_id: str
    category: str
    inputs: Schema | None = None
    outputs: Schema | None = None
    components: dict[str, Schema] = field(default_factory=dict)

    def resolve(self, schema: Schema) -> Schema:
        """Follow references, and an allOf of one part; a dangling reference allows everything."""
        for _ in range(16):
            if "$ref" in schema:
                schema = self.components.get(schema["$ref"].rsplit("/", 1)[-1], {})
            elif len(schema.get("allOf", ())) == 1:
                schema = schema["allOf"][0]
            else:
                break
        return schema

    def input_properties(self) -> dict[str, Schema]:
        """The fields of the input by name."""
        return self.resolve(self.inputs or {}).get("properties") or {}

    def with_defaults(self, given: dict[str, Any]) -> dict[str, Any]:
        """The input as the model sees it: what was sent, over the defaults of the schema."""
        defaults = {name: one["default"] for name, one in self.input_properties().items() if "default" in one}
        return defaults | {name: value for name, value in given.items() if value is not None or name not in defaults}


def read_contract(model: Model) -> Contract:
    """The contract of a model."""
    document = orjson.loads(model.openapi) if model.openapi else {}
    told = (document.get("info") or {}).get("x-fal-metadata") or {}
    category = model.metadata["category"] if model.metadata else str(told.get("category") or "unknown")
    contract = Contract(model.endpoint_id, category)
    contract.components = (document.get("components") or {}).get("schemas") or {}
    for path, methods in (document.get("paths") or {}).items():
        if "post" in methods:
            contract.inputs = _content(methods["post"].get("requestBody"))
        elif path.endswith("/{request_id}") and "get" in methods:
            contract.outputs = _content((methods["get"].get("responses") or {}).get("200"))
    return contract


def _content(holder: Any) -> Schema | None:
    try:
        schema = holder["content"]["application/json"]["schema"]
    except (KeyError, TypeError):
        return None
    return schema if isinstance(schema, dict) else None


@dataclass(slots=True)
class Contracts:
    """The contracts of models used lately."""

    known: dict[str, tuple[Model, Contract]] = field(default_factory=dict)

    def of(self, model: Model) -> Contract:
        """The contract of a model, read once until the model is changed."""
        found = self.known.get(model.endpoint_id)
        if found is not None and found[0] is model:
            return found[1]
        if len(self.known) >= KEPT:
            self.known.clear()
        contract = read_contract(model)
        self.known[model.endpoint_id] = (model, contract)
        return contract
