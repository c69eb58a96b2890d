"""Addresses as fal writes them: `owner/alias/sub/path` is submitted to, and asked about at `owner/alias` alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

# They come before the owner.
_NAMESPACES = ("workflows", "comfy")
_REQUEST = re.compile(r"(?P<app>.+?)/requests/(?P<id>[^/]+)(?:/(?P<action>response|status/stream|status|cancel))?")


@dataclass(frozen=True, slots=True)
class Address:
    """What a path of the queue names: a model, or with `request_id` a request and what is asked of it ("" result)."""

    endpoint_id: str
    request_id: str = ""
    action: str = ""


def read_path(path: str) -> Address:
    """The address that a path below `/queue` stands for."""
    path = path.strip("/")
    if found := _REQUEST.fullmatch(path):
        action = (found["action"] or "").removesuffix("response")
        return Address(found["app"], found["id"], action)
    return Address(path)


def app_of(endpoint_id: str) -> str:
    """`owner/alias` of a model, with the namespace before it where there is one."""
    parts = endpoint_id.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def is_of(address: str, endpoint_id: str) -> bool:
    """Whether a request of this model may be asked about at this address: its app's, or its own."""
    bare = address.rpartition(":")[2]
    return bare in (app_of(endpoint_id), endpoint_id)
