"""The shapes of the catalog's answers, as the OpenAPI document shows them; the bytes are rendered elsewhere."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from catalog.providers import base
from genfeed.clients.api_shapes import ErrorShape as ErrorShape


class PriceShape(Schema):
    amount: str | None = Field(
        description="What one unit costs you, in USD; null where that is unknown or depends on the input. Fees and "
        "minimum charges of your terms fall due once a request, and are not in it."
    )
    unit: str | None
    currency: Literal["USD"]
    state: Literal["advertised", "ruled", "observed", "manual", "unknown"]
    varies: bool = Field(description="Whether the input changes what a request costs: number of units, tiers, options.")


class ModelShape(Schema):
    id: str = Field(description="The provider's endpoint id, e.g. fal-ai/flux/dev.")
    name: str
    provider: str
    category: str
    media_type: Literal["image", "video", "audio", "text", "3d", "other"]
    kind: str
    description: str
    status: Literal["active", "deprecated", "retired"]
    enabled: bool
    held_reason: str | None = Field(description="Why the model is not offered, where the system holds it.")
    tags: list[str]
    capabilities: list[str]
    thumbnail_url: str | None
    price: PriceShape
    schema_version: int | None
    updated_at: datetime


class ModelDetailShape(ModelShape):
    limits: dict[str, Any] = Field(description="What the schema bounds: sizes, durations, counts, prompt length.")
    inputs: list[dict[str, Any]] = Field(description="The input fields in their order.")
    outputs: list[dict[str, Any]]
    input_schema: dict[str, Any] = Field(description="JSON Schema of the input, self-contained.")
    output_schema: dict[str, Any]


class ModelPage(Schema):
    items: list[ModelShape]
    next_cursor: str | None


class LegacyModelShape(Schema):
    id: str
    name: str
    provider: str
    category: str
    pricing: dict[str, float]
    enabled: bool


class LegacyList(Schema):
    models: list[LegacyModelShape]
    count: int
    lastUpdated: datetime | None


class ProviderShape(Schema):
    id: str
    name: str
    configured: bool = Field(description="Whether a key is set; the catalog works without, generation does not.")
    models: int = Field(description="Models that are offered to you.")
    last_synced_at: datetime | None
    sync_status: str | None = Field(description="Outcome of the newest sync.")


class ProviderList(Schema):
    items: list[ProviderShape]


# PostgreSQL stores no NUL in a text.
Reason = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$", description="For the audit.")]


class ToggleBody(Schema):
    model_config = ConfigDict(extra="forbid")
    enabled: bool | None = Field(None, description="true, false, or absent to turn the switch over.")
    reason: Reason = ""


class BulkToggleBody(Schema):
    model_config = ConfigDict(extra="forbid")
    ids: list[str] = Field(min_length=1, max_length=5000, description="Model ids, bare or provider:id.")
    enabled: bool
    reason: Reason = ""


class ToggleResult(Schema):
    changed: list[str]
    unchanged: list[str]
    held: dict[str, str] = Field(description="Switched on, but not offered yet: id and why.")


class SyncBody(Schema):
    model_config = ConfigDict(extra="forbid")
    provider: str = Field(default_factory=base.usual)
    full: bool = Field(False, description="Fetch every schema again, not only the changed ones.")


class SyncShape(Schema):
    id: int
    provider: str
    status: Literal["queued", "running", "succeeded", "failed"]
    trigger: str
    full: bool
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    phase: str
    done: int
    total: int
    listed: int
    added: int
    changed: int
    updated: int
    retired: int
    failed: int
    error: str
    revision: int | None


class SyncDetailShape(SyncShape):
    report: dict[str, Any]


class SyncList(Schema):
    items: list[SyncShape]
