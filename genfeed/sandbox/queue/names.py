"""Endpoint ids and their apps: a request of `owner/alias/sub/path` lives under `owner/alias`."""

from dataclasses import dataclass

NAMESPACES = ("workflows", "comfy")
ACTIONS = ("", "response", "status", "status/stream", "cancel")


@dataclass(frozen=True, slots=True)
class Address:
    """A path of the queue: of an endpoint, and with `request_id` of one of its requests."""

    endpoint_id: str
    request_id: str | None = None
    action: str = ""


def app_of(endpoint_id: str) -> str:
    """`owner/alias`, with the namespace before it where there is one."""
    parts = endpoint_id.split("/")
    return "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])


def parse(path: str) -> Address | None:
    """Read a path without its first slash; None for one that is nothing."""
    path = path.strip("/")
    head, mark, tail = path.partition("/requests/")
    if not mark:
        return Address(head) if head else None
    request_id, _, action = tail.partition("/")
    return Address(head, request_id, action) if request_id and action in ACTIONS else None
