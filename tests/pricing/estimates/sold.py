"""Models with a schema, a price and perhaps a rule, for tests of estimates."""

from typing import Any

import orjson
from django.test import Client as HttpClient

from catalog.models import AIModel
from pricing.estimates import facts
from pricing.estimates.facts import Facts, load_facts
from tests.factories import INPUT_SCHEMA, INPUTS, OUTPUT_SCHEMA, OUTPUTS
from tests.pricing.selling.priced import make_priced

Field = dict[str, Any]

VIDEO_OUT: list[Field] = [
    {
        "name": "video", "type": "object", "required": True, "nullable": False, "media": "video",
        "fields": [
            {"name": "url", "type": "string", "required": True, "nullable": False},
            {"name": "file_size", "type": "integer", "required": False, "nullable": True},
        ],
    }
]  # fmt: skip
IMAGES_OUT: list[Field] = [
    {
        "name": "images", "type": "array", "required": True, "nullable": False, "media": "image",
        "items": {
            "name": "images", "type": "object", "required": True, "nullable": False, "media": "image",
            "fields": [
                {"name": "url", "type": "string", "required": True, "nullable": False},
                {"name": "width", "type": "integer", "required": True, "nullable": False},
            ],
        },
    },
    {"name": "seed", "type": "integer", "required": True, "nullable": False},
]  # fmt: skip


def field(name: str, type: str = "string", *, required: bool = False, **rest: Any) -> Field:
    return {"name": name, "type": type, "required": required, "nullable": False, **rest}


PROMPT = field("prompt", required=True)
NUM_IMAGES = INPUTS[1]
IMAGE_URL = field("image_url", required=True, media="image")
VIDEO_URL = field("video_url", required=True, media="video")
AUDIO_URL = field("audio_url", required=True, media="audio")
DURATION = field("duration", enum=["5", "10"], default="5")
RESOLUTION = field("resolution", enum=["480p", "720p", "1080p"], default="720p")
_SCHEMA_KEYS = ("type", "enum", "default", "minimum", "maximum", "items", "format")


def schema_of(inputs: list[Field]) -> dict[str, Any]:
    """The JSON Schema that these fields were mapped from."""
    properties = {}
    for item in inputs:
        properties[item["name"]] = {key: item[key] for key in _SCHEMA_KEYS if key in item and key != "items"}
        if item["type"] == "array":
            properties[item["name"]]["items"] = {"type": item.get("items", {}).get("type", "string")}
    return {"type": "object", "properties": properties, "required": [one["name"] for one in inputs if one["required"]]}


def make_sold(
    endpoint_id: str = "fal-ai/flux/dev",
    unit_price: str = "0.025",
    unit: str = "images",
    *,
    inputs: list[Field] | None = None,
    outputs: list[Field] | None = None,
    **options: Any,
) -> AIModel:
    """A priced model with these fields, offered and published."""
    content = {
        "document": {},
        "input_schema": INPUT_SCHEMA if inputs is None else schema_of(inputs),
        "output_schema": OUTPUT_SCHEMA,
        "inputs": INPUTS if inputs is None else inputs,
        "outputs": OUTPUTS if outputs is None else outputs,
    }
    model = make_priced(endpoint_id, unit_price, unit, content=content, **options)
    facts.forget()
    return model


def facts_about(model: AIModel) -> Facts:
    return next(load_facts([model.pk]))


def post(client: HttpClient, path: str, body: Any, status: int = 200) -> Any:
    """The JSON answer to a POST of JSON; fails where the status is another."""
    answer = client.post(f"/api/v1{path}", orjson.dumps(body), content_type="application/json")
    assert answer.status_code == status, answer.content
    return orjson.loads(answer.content)
