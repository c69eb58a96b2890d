"""What an operation may answer besides JSON, for the API's document."""

from typing import Any


def also_as(*kinds: str) -> dict[str, Any]:
    """An operation's `openapi_extra`: its success may be of these media types too, as the request asks for."""
    text = {"schema": {"type": "string"}}
    return {"responses": {200: {"content": dict.fromkeys(kinds, text)}}}
