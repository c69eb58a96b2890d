"""Rows for tests that need a catalog, but no sync."""

from datetime import UTC, datetime
from typing import Any

from catalog import published
from catalog.availability import refresh
from catalog.models import AIModel, Provider, SchemaVersion
from catalog.revisions import publish

LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

INPUTS = [
    {"name": "prompt", "type": "string", "required": True, "nullable": False, "description": "What to make."},
    {
        "name": "num_images", "type": "integer", "required": False, "nullable": False, "default": 1,
        "minimum": 1, "maximum": 4,
    },
]  # fmt: skip
OUTPUTS = [{"name": "images", "type": "array", "required": True, "nullable": False, "media": "image"}]
INPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string"},
        "num_images": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1},
    },
    "required": ["prompt"],
}
OUTPUT_SCHEMA = {"type": "object", "properties": {"images": {"type": "array"}}}


def make_provider(slug: str = "fal", name: str = "") -> Provider:
    """The provider's row; fal's is named as the registered one names itself."""
    return Provider.objects.get_or_create(slug=slug, defaults={"name": name or {"fal": "fal.ai"}.get(slug, slug)})[0]


def make_model(endpoint_id: str = "fal-ai/flux/dev", **columns: Any) -> AIModel:
    """A text-to-image model with version 1 of a schema, enabled or held as the rules of the catalog say.

    Its price is said to allow a sale, though no price is stored; `priced=False` makes one that is held for it.
    `provider` may be a slug, `schema_version=0` makes a model without schema, `enabled` and `held_reason` overrule the
    rules. Nothing is published: call `publish_now` once all rows are made.
    """
    slug = columns.pop("provider", "fal")
    forced = {name: columns.pop(name) for name in ("enabled", "held_reason") if name in columns}
    values: dict[str, Any] = {
        "name": endpoint_id.rsplit("/", 1)[-1],
        "description": f"Makes pictures with {endpoint_id}.",
        "category": "text-to-image",
        "media_type": "image",
        "media_type_source": "category",
        "tags": [],
        "schema_state": AIModel.SchemaState.UNDERSTOOD,
        "schema_version": 1,
        "priced": True,
        "first_seen_at": LONG_AGO,
        "changed_at": LONG_AGO,
    }
    row = AIModel(provider=make_provider(slug), endpoint_id=endpoint_id, **(values | columns))
    refresh(row)
    for name, value in forced.items():
        setattr(row, name, value)
    row.save()
    if row.schema_version:
        make_schema_version(row)
    return row


def make_models(count: int, **columns: Any) -> list[AIModel]:
    """Enabled models fal-ai/made/0000 and on, without stored schemas, in one statement."""
    provider = make_provider()
    values: dict[str, Any] = {
        "provider": provider, "category": "text-to-image", "media_type": "image", "enabled": True,
        "schema_state": AIModel.SchemaState.UNDERSTOOD, "schema_version": 1, "priced": True, "changed_at": LONG_AGO,
    }  # fmt: skip
    return AIModel.objects.bulk_create(
        AIModel(endpoint_id=f"fal-ai/made/{number:04}", name=f"Made {number:04}", **(values | columns))
        for number in range(count)
    )


def make_schema_version(row: AIModel, **columns: Any) -> SchemaVersion:
    """The stored schema of the model's current version."""
    content = {
        "document": {"openapi": "3.0.4", "paths": {}},
        "input_schema": INPUT_SCHEMA,
        "output_schema": OUTPUT_SCHEMA,
        "inputs": INPUTS,
        "outputs": OUTPUTS,
    }
    values = {"number": row.schema_version, "fingerprint": "0" * 64, "content": SchemaVersion.pack(content)}
    return SchemaVersion.objects.create(model=row, **(values | columns))


def publish_now() -> int:
    """Publishes a revision with the rows as they are, for this process to see at once; returns its number."""
    number = publish("a test made rows").number
    published.forget()
    return number
