"""A valid input for any model, made from its schema alone."""

from typing import Any

from genfeed.sandbox.outputs.contract import Contract

Schema = dict[str, Any]


def smallest_input(contract: Contract) -> dict[str, Any]:
    """The required fields, each with the simplest value that its schema allows."""
    return _object(contract, contract.resolve(contract.inputs or {}), 0)


def _object(contract: Contract, schema: Schema, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    return {name: _value(contract, properties.get(name) or {}, depth + 1) for name in schema.get("required", ())}


def _value(contract: Contract, schema: Schema, depth: int) -> Any:
    schema = contract.resolve(schema)
    if "default" in schema:
        return schema["default"]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _value(contract, choices[0], depth + 1)
    kind = schema.get("type")
    if kind == "array":
        return [_value(contract, schema.get("items") or {}, depth + 1)] * max(1, schema.get("minItems") or 1)
    if kind == "object" or "properties" in schema:
        return _object(contract, schema, depth) if depth < 8 else {}
    if kind in ("integer", "number"):
        return schema.get("minimum", 1) + (1 if schema.get("exclusiveMinimum") else 0)
    if kind == "boolean":
        return True
    return "https://example.com/file.png".ljust(schema.get("minLength") or 0, ".")[: schema.get("maxLength")]
