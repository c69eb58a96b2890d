"""The texts of an input, however deep: found with their places, and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def replaced_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of an input with every text changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: replaced_texts(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [replaced_texts(inner, change) for inner in value]
    return value


def texts_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of an input, and where it stands."""
    if isinstance(value, str):
        yield value, path
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts_in(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts_in(inner, f"{path}.{index}")
