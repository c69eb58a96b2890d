"""The shapes of webhook endpoints and deliveries, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from jobs.webhooks.kinds import KINDS

Url = Annotated[str, Field(min_length=1, max_length=2000, description="An https address of yours.")]
Events = Annotated[
    list[Annotated[str, Field(max_length=60)]],
    Field(
        min_length=1,
        max_length=50,
        description=f"What it is told of: {', '.join(KINDS)}; job.* for all of a kind, * for all.",
    ),
]
Description = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class EndpointBody(Schema):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"url": "https://example.com/hooks/genfeed", "events": ["job.*", "balance.low"]}},
    )
    url: Url
    events: Events
    description: Description = ""
    ordered: bool = Field(
        False,
        strict=True,
        description="One delivery at a time, the next only after the one before was delivered or given up. One that "
        "fails holds back all after it, for a day at most.",
    )


class EndpointChanges(Schema):
    model_config = ConfigDict(extra="forbid")
    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    ordered: bool | None = Field(None, strict=True, description="Holds for what waits, too.")
    is_active: bool | None = Field(None, strict=True, description="false: nothing is sent, and what waits is given up.")


class EndpointShape(Schema):
    id: str
    url: str
    events: list[str]
    description: str
    is_active: bool
    ordered: bool
    created_at: datetime
    failing_since: datetime | None = Field(description="null while it takes what is sent.")
    disabled_at: datetime | None = Field(description="When it was switched off for failing for days.")
    error: str = Field(description="What the last failed attempt ended with.")
    secret_rotates_until: datetime | None = Field(description="Until then the previous secret signs as well.")


class NewEndpointShape(EndpointShape):
    secret: str = Field(description="Signs what is sent there; shown in this answer alone.")


class EndpointPage(Schema):
    items: list[EndpointShape]
    next_cursor: str | None


class RotateBody(Schema):
    model_config = ConfigDict(extra="forbid")
    overlap_seconds: int = Field(86_400, ge=0, le=604_800, description="How long old and new both sign: 0 to 7 days.")


class SecretShape(Schema):
    secret: str = Field(description="whsec_… of the Standard Webhooks specification.")
    secret_rotates_until: datetime | None


class DeliveryShape(Schema):
    id: str
    message: str = Field(description="The header webhook-id: the same at every attempt.")
    type: str
    subject: str = Field(description="What the event is about, e.g. the job.")
    endpoint: str | None = Field(description="null: the webhook_url of a job.")
    url: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    created_at: datetime
    attempted_at: datetime | None
    delivered_at: datetime | None
    next_attempt_at: datetime | None = Field(
        description="null: it has ended, or an ordered endpoint has others before it."
    )
    response_status: int | None
    response_body: str = Field(description="The beginning of the last answer.")
    error: str


class DeliveryPage(Schema):
    items: list[DeliveryShape]
    next_cursor: str | None


class PageOf(Schema):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=60, description="next_cursor of the page before.")


class DeliveryFilters(PageOf):
    status: Literal["pending", "delivered", "failed"] | None = None
    subject: str | None = Field(None, max_length=300, description="e.g. a job's id.")
