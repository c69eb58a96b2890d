"""The shapes of estimates, workflows and choices, as the OpenAPI document shows them."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from catalog.api_shapes import ErrorShape
from pricing.choosing.requirements import STRATEGIES
from pricing.counting.requests import MEDIA_FACTS

Confidence = Literal["exact", "derived", "historical", "bounded", "unknown"]
Tier = Literal["low", "medium", "high", "ultra"]
ModelId = Annotated[str, Field(min_length=1, max_length=300, description="A model id, bare or provider:id.")]
Usd = Annotated[str | None, Field(description="USD as a decimal string; null while unknown.")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Letters, digits, - and _.")]
Input = Annotated[dict[str, Any], Field(description="The input of the model, as its input_schema says.")]
Media = Annotated[
    dict[str, Any] | None,
    Field(description=f"Facts about files that the input can't show, by name: {', '.join(MEDIA_FACTS)}."),
]
Probe = Annotated[
    bool, Field(description="Look at the headers of input files given by URL; facts told in `media` win.")
]


class EstimateItem(Schema):
    """One question."""

    model_config = ConfigDict(extra="forbid")
    model: ModelId
    input: Input = Field(default_factory=dict)
    media: Media = None
    probe: Probe = False


class EstimateBody(Schema):
    """One question (`model`, `input`), or up to 100 in `items`."""

    model_config = ConfigDict(extra="forbid")
    model: ModelId | None = None
    input: dict[str, Any] | None = Field(None, description="The input of the model, as its input_schema says.")
    media: Media = None
    probe: Probe = False
    # Each is read by itself, so that a bad one spoils no other.
    items: list[Any] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Questions of the same shape: model, input, media, probe.",
        json_schema_extra={"items": {"type": "object", "title": "One question"}},
    )


class AssumedShape(Schema):
    output_video_seconds: str = Field(description="The length that was assumed (a setting of the installation).")
    price: Usd
    cost: str | None = Field(None, description="Only for scope admin, and in core mode.")


class EstimateShape(Schema):
    model: str
    price: Usd
    currency: Literal["USD"]
    unit: str = Field(description="What the provider counts.")
    units: str | None = Field(description="How many of them, where one number says it.")
    confidence: Confidence
    basis: str = Field(description="Why, in words.")
    low: Usd
    high: Usd = Field(description="What a hold would be.")
    missing: list[str] = Field(description="Fields and media facts that would settle what is not known.")
    cost: str | None = Field(None, description="Only for scope admin, and in core mode.")
    unit_price: str | None = Field(None, description="Only for scope admin, and in core mode.")
    assumed: AssumedShape | None = Field(
        None, description="Where a price lacks only the length of the video: what one of a usual length would cost."
    )
    media: dict[str, str] | None = Field(None, description="With probe: the facts that were used.")
    probe_problems: list[str] | None = Field(None, description="With probe: files that could not be looked at.")


class ItemErrorShape(Schema):
    model: str | None
    error: ErrorShape


class EstimateList(Schema):
    items: list[EstimateShape | ItemErrorShape] = Field(description="In the order of the questions.")


class WorkflowStep(Schema):
    model_config = ConfigDict(extra="forbid")
    name: Name
    model: ModelId
    input: dict[str, Any] = Field(
        default_factory=dict,
        description='As for the model; {"$ref": "steps.<name>.output.<field>"} stands for what an earlier step makes.',
    )
    quantity: int = Field(1, ge=1, le=10_000, strict=True, description="How often the step runs.")
    depends_on: list[Name] = Field(default_factory=list, max_length=200)
    fan_out: int | None = Field(
        None,
        ge=1,
        le=10_000,
        strict=True,
        description="Runs for every run of the busiest step that it depends on; absent: only its own quantity.",
    )
    media: Media = None


class WorkflowBody(Schema):
    model_config = ConfigDict(extra="forbid")
    steps: list[WorkflowStep] = Field(min_length=1, max_length=200)


class AlternativeShape(Schema):
    model: str
    name: str
    provider: str
    price: Usd
    saves: Usd
    leaves_out: list[str] = Field(description="Given fields that it has no place for.")
    same_model: bool = Field(description="It is confirmed to be the same model under another id or provider.")


class StepShape(Schema):
    name: str
    model: str
    depends_on: list[str]
    quantity: int
    fan_out: int | None
    runs: int
    price: Usd = Field(description="Of all runs.")
    low: Usd
    high: Usd
    cost: str | None = Field(None, description="Only for scope admin, and in core mode.")
    confidence: Confidence
    missing: list[str]
    estimate: EstimateShape = Field(description="Of one run.")
    cheapest_alternative: AlternativeShape | None = Field(
        description="Another model of the same task, or the same model elsewhere, for one run."
    )


class MissingOfStep(Schema):
    step: str
    missing: list[str]


class TotalShape(Schema):
    price: Usd
    low: Usd
    high: Usd
    cost: str | None = Field(None, description="Only for scope admin, and in core mode.")
    currency: Literal["USD"]
    confidence: Confidence = Field(description="The worst of all steps.")
    missing: list[MissingOfStep]


class WorkflowShape(Schema):
    steps: list[StepShape]
    order: list[str] = Field(description="An order in which the steps can run.")
    total: TotalShape


def _text_or_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise PydanticCustomError("text_or_number", "is neither a text nor a number")
    return value


TextOrNumber = Annotated[str | float, BeforeValidator(_text_or_number)]


class SelectBody(Schema):
    """What is needed; at least `task`, `media_type` or `instead_of`."""

    model_config = ConfigDict(extra="forbid")
    task: str | None = Field(None, max_length=80, description="A category, e.g. text-to-image.")
    media_type: Literal["image", "video", "audio", "text", "3d", "other"] | None = None
    instead_of: ModelId | None = Field(None, description="A model to find another one for, of the same task.")
    kind: Literal["inference", "training"] = "inference"
    provider: str | None = Field(None, max_length=80)
    budget: Literal["low", "medium", "high"] | None = Field(
        None, description="0.01, 0.05 or 0.20 USD per output (settings of the installation)."
    )
    quality: Literal["draft", "production", "premium", "low", "medium", "high", "ultra"] | None = Field(
        None, description="At least: draft is low, production medium, premium high."
    )
    urgency: Literal["low", "normal", "high"] = Field("normal", description="high: the fastest, unless strategy says.")
    max_price: TextOrNumber | None = Field(None, description="USD per output.")
    max_latency: float | None = Field(None, gt=0, le=86_400, description="Seconds.")
    inputs: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default_factory=list,
        max_length=20,
        description="What it must take: image, video, audio, 3d, text, or names of fields.",
    )
    min_resolution: TextOrNumber | None = Field(
        None, description="1080p, 4K, 1024x1024, or the shorter side in pixels."
    )
    min_duration: float | None = Field(
        None, gt=0, le=86_400, description="Seconds of video or sound that one request must be able to make."
    )
    capabilities: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(default_factory=list, max_length=20)
    exclude: list[ModelId] = Field(default_factory=list, max_length=100, description="Models that are out of question.")
    strategy: Literal["cheapest", "fastest", "quality", "balanced"] | None = Field(
        None, description=f"{', '.join(STRATEGIES)}; cheapest by default."
    )
    limit: int = Field(10, ge=1, le=50)


class QualityShape(Schema):
    tier: Tier
    source: Literal["admin", "derived"]
    evidence: list[str]


class LatencyShape(Schema):
    seconds: float
    source: Literal["usage", "provider"]


class ChoiceShape(Schema):
    rank: int
    model: str
    name: str
    provider: str
    category: str
    media_type: str
    price: Usd = Field(description="Of one output of a default request.")
    currency: Literal["USD"]
    confidence: Confidence
    quality: QualityShape
    latency: LatencyShape | None
    max_resolution: int | None = Field(description="The shorter side of its largest output, in pixels.")
    capabilities: list[str]
    same_model_as: list[str] = Field(
        description="The model to replace, and those before it in the ranking, that are confirmed to be this model."
    )
    reason: str


class LeftOutShape(Schema):
    model: str
    provider: str
    reasons: list[str]


class RequirementsShape(Schema):
    task: str | None
    media_type: str | None
    provider: str | None
    max_price: Usd
    max_latency: float | None
    min_quality: Tier | None
    min_resolution: int | None
    min_duration: float | None
    inputs: list[str]
    capabilities: list[str]
    exclude: list[str]
    strategy: Literal["cheapest", "fastest", "quality", "balanced"]


class SelectShape(Schema):
    items: list[ChoiceShape] = Field(description="Best first; those after the first are what to fall back to.")
    left_out: list[LeftOutShape] = Field(description="The nearest that do not fit, and why.")
    requirements: RequirementsShape = Field(description="The requirements as they were understood.")
    total: int = Field(description="How many models fit.")
