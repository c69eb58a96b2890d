"""What tests of own models share: what a person says of one, and somebody who says it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.own_models import OwnModel
from tests.factories import make_provider

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string"},
        "num_images": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1},
        "style": {"$ref": "#/$defs/Style"},
    },
    "required": ["prompt"],
    "$defs": {"Style": {"type": "string", "enum": ["oil", "ink"], "default": "oil"}},
}
OUTPUT: dict[str, Any] = {"type": "object", "properties": {"images": {"type": "array", "items": {"type": "object"}}}}


def own(**columns: Any) -> OwnModel:
    """A private text-to-image endpoint."""
    from catalog.own_schemas import document_of

    values: dict[str, Any] = {
        "provider": make_provider(),
        "endpoint_id": "acme/portraits",
        "name": "Portraits",
        "category": "text-to-image",
        "document": document_of("acme/portraits", SCHEMA, OUTPUT),
    }
    return OwnModel(**(values | columns))


@pytest.fixture
def root(staff: Callable[[str], HttpClient]) -> HttpClient:
    """The browser of a superuser named root."""
    return staff("superuser")
