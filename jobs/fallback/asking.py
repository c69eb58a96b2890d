"""What a client asks for in place of a model, read from the field of a request."""

from __future__ import annotations

from jobs import api_shapes as shapes
from jobs.fallback.accepting import Alternative, Fallback


def read_fallback(given: shapes.Fallback) -> Fallback:
    """The alternatives that a body names, by their ids or with inputs of their own."""
    if given == "equivalent":
        return "equivalent"
    return [Alternative(one) if isinstance(one, str) else Alternative(one.model, one.input, one.media) for one in given]
