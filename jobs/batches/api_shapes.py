"""The shapes of batches, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from jobs.api_shapes import Cache, Metadata, StatusName
from jobs.assets.api_shapes import AssetShape
from pricing.api_shapes import Input, Media, ModelId, Usd

MOST_ITEMS = 500
ITEMS_A_PAGE = 100

BatchStatus = Literal["accepting", "running", "canceling", "completed", "canceled"]
MaxPrice = Annotated[str | None, Field(max_length=40, description="USD as a decimal string, for each item.")]
Priority = Literal["normal", "low"]


class BatchItemBody(Schema):
    """One item: like a job, and what it leaves out is taken from the batch."""

    model_config = ConfigDict(extra="forbid")
    model: ModelId | None = None
    input: Input = Field(default_factory=dict, description="Is laid over the input of the batch, field by field.")
    media: Media = None
    webhook_url: str | None = Field(None, max_length=2000, description="Is told of this item's job alone.")
    max_price: MaxPrice = None
    cache: Cache | None = None
    metadata: Metadata = Field(default_factory=dict)
    priority: Priority | None = None


class BatchBody(Schema):
    """Up to 500 requests. `model`, `input` and the like are what items have in common."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "model": "fal-ai/flux/schnell",
                "input": {"image_size": "square_hd"},
                "items": [
                    {"input": {"prompt": "a fox in the snow"}, "metadata": {"order": "7"}},
                    {"input": {"prompt": "an owl at dusk"}},
                ],
                "max_total_price": "0.50",
            }
        },
    )
    items: list[BatchItemBody] | None = Field(None, min_length=1, max_length=MOST_ITEMS)
    prompts: list[str] | None = Field(
        None, min_length=1, max_length=MOST_ITEMS, description="Instead of items: one item for each prompt."
    )
    mode: Literal["best_effort", "all_or_nothing"] = Field(
        "best_effort", description="Whether items are accepted though others can't be."
    )
    model: ModelId | None = None
    input: Input = Field(default_factory=dict)
    media: Media = None
    max_price: MaxPrice = None
    cache: Cache = False
    priority: Priority = "normal"
    max_total_price: str | None = Field(
        None, max_length=40, description="USD as a decimal string: what all items together may cost at most."
    )
    webhook_url: str | None = Field(None, max_length=2000, description="Is told of the end of the batch (https).")
    metadata: Metadata = Field(default_factory=dict)


class ItemErrorShape(Schema):
    code: str
    message: str
    hint: str
    details: Any = None


class BatchItemShape(Schema):
    index: int = Field(description="Its place in the request, from 0.")
    status: StatusName | Literal["refused"]
    job: str | None = Field(description="null where it was refused.")
    model: str | None
    charge: Usd
    cached: bool
    output: Any
    assets: list[AssetShape]
    error: ItemErrorShape | None
    metadata: dict[str, Any]


class BatchCountsShape(Schema):
    queued: int
    submitting: int
    submitted: int
    running: int
    canceling: int
    succeeded: int
    failed: int
    canceled: int
    refused: int = Field(description="Not accepted: no job, no charge.")


class BatchSummaryShape(Schema):
    id: str
    livemode: bool = Field(description="false: a test key's batch.")
    status: BatchStatus
    mode: Literal["best_effort", "all_or_nothing"]
    created_at: datetime
    finished_at: datetime | None
    size: int = Field(description="Items that were asked for.")
    counts: BatchCountsShape
    progress: float = Field(description="The share of items that have ended, 0 to 1.")
    quote: str | None = Field(description="USD: the prices of all accepted items; null while they are accepted.")
    charge: str = Field(description="USD: what the items that have ended were charged.")
    max_total_price: Usd
    metadata: dict[str, Any]


class BatchShape(BatchSummaryShape):
    items: list[BatchItemShape]
    next_cursor: str | None = Field(description="null on the last page of the items.")


class BatchPage(Schema):
    items: list[BatchSummaryShape]
    next_cursor: str | None


class ItemsPage(Schema):
    limit: int = Field(ITEMS_A_PAGE, ge=1, le=MOST_ITEMS, description="Items of the page.")
    cursor: int = Field(0, ge=0, le=MOST_ITEMS, description="next_cursor of the page before.")


class BatchFilters(Schema):
    status: BatchStatus | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=60, pattern=r"^[^\x00]*$")
