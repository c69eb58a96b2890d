"""The built-in models."""

from collections.abc import Iterator
from typing import Any


def builtin_rows() -> Iterator[dict[str, Any]]:
    """Rows in the shape of a catalog file."""
    yield from ()
