"""The shapes of workflows, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from jobs.api_shapes import MOST_ALTERNATIVES, Cache, JobErrorShape, Metadata, StatusName
from jobs.assets.api_shapes import AssetShape
from pricing.api_shapes import Confidence, ModelId, Name, Usd, WorkflowStep

WorkflowStatus = Literal["running", "canceling", "succeeded", "failed", "canceled"]
StepStatusName = Literal["waiting", "running", "succeeded", "failed", "canceled", "skipped"]
OnError = Literal["fail", "continue"]
MOST_STEPS = 200
StepFallback = Annotated[
    Literal["equivalent"] | Annotated[list[ModelId], Field(max_length=MOST_ALTERNATIVES)],
    Field(
        description="Models to run it instead, with the same input, where the one before can't be had; equivalent: "
        "those that are confirmed to be the same model, for at most max_price."
    ),
]


class WorkflowRunStepBody(WorkflowStep):
    """A step as estimates take it, and how it is to be run."""

    max_price: str | None = Field(None, max_length=40, description="USD as a decimal string, for each run of it.")
    on_error: OnError = Field(
        "fail", description="continue: a failure does not fail the workflow, and steps that only come after it run."
    )
    cache: Cache = False
    fallback: StepFallback = Field(default_factory=list)
    metadata: Metadata = Field(
        default_factory=dict,
        description="Notes for its jobs, laid over those of the workflow: at most 50 short values.",
    )


class WorkflowRunBody(Schema):
    """Steps, or the template that has them."""

    model_config = ConfigDict(
        extra="forbid",
        # A reference can't stand in an example: tools take it for one of the document's own.
        json_schema_extra={
            "example": {
                "steps": [
                    {"name": "one", "model": "fal-ai/flux/schnell", "input": {"prompt": "a lighthouse"}},
                    {
                        "name": "two",
                        "model": "fal-ai/flux/schnell",
                        "input": {"prompt": "the same in winter"},
                        "depends_on": ["one"],
                    },
                ],
                "max_price": "0.10",
            }
        },
    )
    steps: list[WorkflowRunStepBody] | None = Field(None, min_length=1, max_length=MOST_STEPS)
    template: str | None = Field(None, min_length=1, max_length=64, description="Id or name of a template.")
    version: int | None = Field(None, ge=1, le=1_000_000, description="Of the template; absent: the newest.")
    params: dict[str, Any] = Field(default_factory=dict, description="Values of the template's parameters.")
    max_price: str | None = Field(
        None, max_length=40, description="USD as a decimal string: what all of it may cost at most."
    )
    priority: Literal["normal", "low"] = "normal"
    webhook_url: str | None = Field(None, max_length=2000, description="Is told of the workflow's end (https).")
    metadata: Metadata = Field(default_factory=dict)


class WorkflowQuoteShape(Schema):
    price: Usd
    low: Usd
    high: Usd
    confidence: Confidence


class WorkflowCountsShape(Schema):
    waiting: int
    running: int
    succeeded: int
    failed: int
    canceled: int
    skipped: int


class StepRunShape(Schema):
    index: int = Field(description="Which of the step's runs, from 0.")
    status: StepStatusName
    job: str | None
    job_status: StatusName | None
    charge: Usd
    output: Any
    assets: list[AssetShape]
    error: JobErrorShape | None = Field(description="Why it came to nothing; of a waiting one, what it waits for.")


class WorkflowRunStepShape(Schema):
    name: str
    model: str
    status: StepStatusName = Field(description="Of all its runs together.")
    depends_on: list[str] = Field(description="The steps that it waits for.")
    on_error: OnError
    fallback: StepFallback
    metadata: dict[str, Any] = Field(description="Of its jobs.")
    quote: WorkflowQuoteShape = Field(description="Of all its runs, before the start.")
    charge: str = Field(description="USD: what its runs that have ended were charged.")
    cost: str | None = Field(None, description="Only for scope admin, and in core mode.")
    runs: list[StepRunShape]


class WorkflowSummaryShape(Schema):
    id: str
    livemode: bool = Field(description="false: a test key's workflow.")
    status: WorkflowStatus
    template: str | None = Field(description="The id of the template that it was made of.")
    template_version: int | None
    params: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None
    counts: WorkflowCountsShape = Field(description="Runs of steps by where they stand.")
    progress: float = Field(description="The share of runs that have ended, 0 to 1.")
    quote: WorkflowQuoteShape = Field(description="Of the whole, before the start.")
    max_price: Usd
    charge: str = Field(description="USD: what was charged so far.")
    cost: str | None = Field(None, description="Only for scope admin, and in core mode.")
    metadata: dict[str, Any]


class WorkflowRunShape(WorkflowSummaryShape):
    steps: list[WorkflowRunStepShape] = Field(description="In an order in which they can run.")


class WorkflowPage(Schema):
    items: list[WorkflowSummaryShape]
    next_cursor: str | None


class WorkflowFilters(Schema):
    status: WorkflowStatus | None = None
    template: str | None = Field(None, max_length=40, pattern=r"^[^\x00]*$", description="The id of a template.")
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=60, pattern=r"^[^\x00]*$")


class ParameterShape(Schema):
    model_config = ConfigDict(extra="forbid")
    type: Literal["string", "integer", "number", "boolean", "array", "object"]
    description: str = Field("", max_length=500)
    default: Any = Field(None, description="What stands for it where a workflow gives no value.")
    enum: list[Any] | None = Field(None, min_length=1, max_length=200, description="The values that it may have.")
    required: bool | None = Field(
        None,
        description="Absent: where there is no default. false and no default: left out without a value.",
    )


class TemplateBody(Schema):
    """Steps under a name. `{"$param": "name"}` in an input stands for the value of a parameter."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "name": "postcard",
                "parameters": {"subject": {"type": "string"}, "size": {"type": "string", "default": "square_hd"}},
                "steps": [
                    {
                        "name": "picture",
                        "model": "fal-ai/flux/schnell",
                        "input": {"prompt": {"$param": "subject"}, "image_size": {"$param": "size"}},
                    }
                ],
            }
        },
    )
    name: Name
    description: str = Field("", max_length=500)
    parameters: dict[Name, ParameterShape] = Field(default_factory=dict, max_length=100)
    steps: list[WorkflowRunStepBody] = Field(min_length=1, max_length=MOST_STEPS)


class TemplateShape(Schema):
    id: str
    livemode: bool = Field(description="false: saved with a test key, and run by test keys alone.")
    name: str
    description: str
    version: int
    created_at: datetime
    updated_at: datetime = Field(description="When this version was saved.")
    parameters: dict[str, ParameterShape]
    steps: list[dict[str, Any]] = Field(description="As they were sent.")


class TemplatePage(Schema):
    items: list[TemplateShape]
    next_cursor: str | None


class TemplateFilters(Schema):
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=60, pattern=r"^[^\x00]*$")


class VersionQuestion(Schema):
    version: int | None = Field(None, ge=1, le=1_000_000, description="Absent: the newest.")
