"""The default request of a model: a value for every required field, and nothing else."""

from typing import Any

Field = dict[str, Any]


def example_input(inputs: list[Field]) -> dict[str, Any]:
    """A value for every required field: its default, its first example, or one that shows its type."""
    return {item["name"]: _example(item) for item in inputs if item.get("required")}


def _example(item: Field) -> Any:
    if item.get("default") is not None:
        return item["default"]
    for name in ("examples", "enum", "presets"):
        if item.get(name):
            return item[name][0]
    if item["type"] == "array":
        # An empty list is rarely what a model takes.
        return [_example(item["items"])] if item.get("items") else []
    if item["type"] == "object":
        return {inner["name"]: _example(inner) for inner in item.get("fields", []) if inner.get("required")}
    if item.get("media"):
        return "https://example.com/file"
    return {"integer": _least(item), "number": _least(item), "boolean": False}.get(item["type"], "text")


def _least(item: Field) -> Any:
    """The smallest number that is allowed and not 0, which often switches something off."""
    return item.get("minimum") or 1
