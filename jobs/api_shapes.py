"""The shapes of jobs, as the OpenAPI document shows them; the bytes are rendered elsewhere."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field, StrictBool
from pydantic_core import PydanticCustomError

from jobs.assets.api_shapes import AssetShape
from pricing.api_shapes import EstimateShape, Input, Media, ModelId, Usd

MOST_ALTERNATIVES = 5

StatusName = Literal["queued", "submitting", "submitted", "running", "canceling", "succeeded", "failed", "canceled"]


def _short_value(value: Any) -> Any:
    if value is not None and not isinstance(value, str | int | float):
        raise PydanticCustomError("short_value", "is no text, number, true, false or null")
    return value


Metadata = Annotated[
    dict[str, Annotated[str | int | float | bool | None, BeforeValidator(_short_value)]],
    Field(max_length=50, description="Your own notes, given back with the job: at most 50 short values."),
]


Cache = Annotated[
    StrictBool | Literal["any_seed"],
    Field(
        description="true: a stored result of the same request will do if its seed is fixed; any_seed: whatever it is."
    ),
]


class AlternativeBody(Schema):
    """A model to run instead, with an input of its own where the names of its fields differ."""

    model_config = ConfigDict(extra="forbid")
    model: ModelId
    input: Input | None = Field(None, description="In place of the job's input; the job's own where it is left out.")
    media: Media = None


Fallback = Annotated[
    Literal["equivalent"] | Annotated[list[ModelId | AlternativeBody], Field(max_length=MOST_ALTERNATIVES)],
    Field(
        description="Models to run instead, in order, where the one before can't be had; equivalent: those that are "
        "confirmed to be the same model, for at most max_price."
    ),
]


class JobBody(Schema):
    """One generation request."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "model": "fal-ai/flux/schnell",
                "input": {"prompt": "a lighthouse in a storm"},
                "max_price": "0.05",
            }
        },
    )
    model: ModelId
    input: Input = Field(default_factory=dict)
    media: Media = None
    webhook_url: str | None = Field(None, max_length=2000, description="Is told of the job's events (https).")
    max_price: str | None = Field(
        None, max_length=40, description="USD as a decimal string: a dearer quote is refused, a charge never passes it."
    )
    cache: Cache = False
    metadata: Metadata = Field(default_factory=dict)
    priority: Literal["normal", "low"] = "normal"
    fallback: Fallback = Field(default_factory=list)


class JobErrorShape(Schema):
    code: str
    message: str
    hint: str


class JobWarningShape(JobErrorShape):
    missing: int = Field(description="How many outputs it is about.")


class AttemptShape(Schema):
    model: str
    provider: str | None = Field(description="null where the id does not tell.")
    status: Literal["chosen", "passed_over", "spare"]
    code: str | None = Field(description="Why it was passed over, as a code of an error.")
    message: str | None


class JobShape(Schema):
    id: str
    livemode: bool = Field(
        description="false: a test key's job. It ran on the sandbox, and `charge` is what it would be."
    )
    status: StatusName
    model: str = Field(description="Which runs it: with a fallback it may be another than requested_model.")
    provider: str
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    queue_position: int | None = Field(
        description="How many go before it: of your own jobs while it is `queued`, in the provider's queue afterwards. "
        "Null where nobody has said so yet."
    )
    quote: EstimateShape
    charge: Usd = Field(description="What the job was charged; null until it has ended.")
    cost: str | None = Field(None, description="Only for scope admin, and in core mode.")
    cost_source: Literal["billing_event", "billable_units", "estimated", "none"] | None
    output: Any = Field(
        description="As the model's output_schema says; the addresses of files are ours once they are stored."
    )
    assets: list[AssetShape]
    error: JobErrorShape | None
    warnings: list[JobWarningShape] = Field(description="What a success lacks of what was asked for.")
    cached: bool
    metadata: dict[str, Any]
    events_url: str = Field(description="The job's events without a key, for an hour; get the job for a fresh one.")
    batch: str | None
    requested_model: str
    attempts: list[AttemptShape] = Field(description="With a fallback: the models in order, and why each is not used.")
    workflow: str | None


class JobPage(Schema):
    items: list[JobShape]
    next_cursor: str | None


class JobEventShape(Schema):
    number: int = Field(description="Rises with every event of the job.")
    type: Literal["job_queued", "job_started", "job_progress", "job_succeeded", "job_failed", "job_canceled"]
    at: datetime
    livemode: bool = Field(description="false: of a test key's doing.")
    data: dict[str, Any]


class JobEventPage(Schema):
    items: list[JobEventShape]
    next_cursor: str | None


class ClientEventShape(Schema):
    id: str = Field(description="Where to go on after this event.")
    job: str | None = Field(None, description="Of events of jobs alone, as is `number`.")
    number: int | None = None
    type: str = Field(description="`job_…` as in the job's own events; others as webhooks name them: `balance_low`.")
    at: datetime
    livemode: bool = Field(description="false: of a test key's doing.")
    data: dict[str, Any]


class ClientEventPage(Schema):
    items: list[ClientEventShape]
    next_cursor: str = Field(description="Where to go on, also where there was nothing.")
