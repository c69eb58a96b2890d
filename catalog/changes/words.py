"""Sentences about changes of a schema."""

import json
from collections.abc import Iterable
from typing import Any

_MOST_PATHS = 6
_BOUND_WORDS = {
    **{"minimum": "the minimum", "maximum": "the maximum", "exclusive_minimum": "the lower limit (excluded)"},
    **{"exclusive_maximum": "the upper limit (excluded)", "min_length": "the shortest length"},
    **{"max_length": "the greatest length", "min_items": "the fewest elements", "max_items": "the most elements"},
    **{"multiple_of": "the step", "max_file_size": "the greatest file size in bytes"},
}


def sentence(change: dict[str, Any]) -> str:
    """One change as a sentence: "Input num_images: the maximum went from 8 to 4.\""""
    return _sentence(change["side"], [change["path"]], _said_of(change))


def group_words(changes: Iterable[dict[str, Any]]) -> list[str]:
    """Sentences in the order of the changes; what is said of many fields alike is said once. Breaking ones say so."""
    groups: dict[tuple[bool, str, str], list[str]] = {}
    for change in changes:
        groups.setdefault((change["breaking"], change["side"], _said_of(change)), []).append(change["path"])
    return [
        f"{'Breaking: ' if breaking else ''}{_sentence(side, paths, said)}"
        for (breaking, side, said), paths in groups.items()
    ]


def _sentence(side: str, paths: list[str], said: str) -> str:
    shown = ", ".join(paths[:_MOST_PATHS])
    if len(paths) > _MOST_PATHS:
        shown += f" and {len(paths) - _MOST_PATHS} more"
    subject = f"{side.capitalize()}{'s' if len(paths) > 1 else ''}"
    return f"{subject} {shown}: {said}." if shown else f"{subject}: {said}."


def _said_of(change: dict[str, Any]) -> str:
    kind, old, new = change["kind"], change["old"], change["new"]
    if kind in ("field_added", "output_added"):
        return f"new, {_described(new)}"
    if kind in ("field_removed", "output_removed"):
        return "removed (bytes, which no JSON answer carries)" if old.get("format") == "binary" else "removed"
    if kind in ("field_renamed", "output_renamed"):
        return f"now called {new}"
    if kind == "type_changed":
        return f"the type went from {old} to {new}"
    if kind == "enum_narrowed":
        return f"no longer allowed: {_values(old)}" if old else f"only these values are allowed now: {_values(new)}"
    if kind == "enum_widened":
        return f"also allowed now: {_values(new)}" if new else "any value is allowed now"
    if kind in ("bound_tightened", "bound_loosened"):
        return _bound(old, new)
    if kind == "default_changed":
        cost = ", which changes the cost" if change["breaking"] else ""
        return f"the default went from {_value(old)} to {_value(new)}{cost}"
    return _FIXED[kind]


_FIXED = {
    "required_added": "required now",
    "required_dropped": "no longer required",
    "null_allowed": "may be null now",
    "null_refused": "may no longer be null",
    "presets_changed": "other suggested values",
    "description_changed": "another description",
    "deprecated": "deprecated now",
    "undeprecated": "no longer deprecated",
    "object_opened": "takes further fields now",
    "object_closed": "takes no further fields now",
    "wording_changed": "other titles, examples or order, nothing that callers depend on",
    "schema_changed": "the same fields written in another way; compare the schemas",
}


def _described(field: dict[str, Any]) -> str:
    words = f"{'required' if field['required'] else 'optional'} {field['type']}"
    return words if field.get("default") is None else f"{words}, {_value(field['default'])} by default"


def _bound(old: dict[str, Any], new: dict[str, Any]) -> str:
    (name, before), (new_name, after) = next(iter(old.items())), next(iter(new.items()))
    words = _BOUND_WORDS.get(name, f"the {name.replace('_', ' ')}")
    if before is None:
        return f"{_BOUND_WORDS.get(new_name, f'the {new_name.replace("_", " ")}')} is now {_value(after)}"
    if after is None:
        return f"{words} of {_value(before)} is gone"
    if name != new_name:
        return f"{words} of {_value(before)} became {_BOUND_WORDS[new_name]} of {_value(after)}"
    return f"{words} went from {_value(before)} to {_value(after)}"


def _values(values: list[Any]) -> str:
    shown = ", ".join(_value(value) for value in values[:20])
    return shown if len(values) <= 20 else f"{shown} and {len(values) - 20} more"


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    is_word = isinstance(value, str) and value and not set(value) & set(" .,")
    text = value if is_word else json.dumps(value, ensure_ascii=False)
    return f"{text[:79]}…" if len(text) > 80 else text
