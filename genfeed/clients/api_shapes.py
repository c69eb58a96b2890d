"""The shapes of answers about clients and keys, and of every error, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from genfeed.clients.parameters import in_utc

# PostgreSQL stores no NUL, and no other control character is part of a name.
Name = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")
]
ModelList = Annotated[list[str], Field(max_length=1000)]
DEFAULT_OVERLAP_SECONDS = 86_400
_LIST_HELP = "Ids such as fal-ai/flux/dev or fal:fal-ai/flux/dev; a * at the end stands for anything."


class ErrorShape(Schema):
    code: str = Field(description="One of a closed list; branch on this.")
    message: str = Field(description="What is wrong.")
    hint: str = Field(description="What to do about it.")
    requestId: str = Field(description="Names this request in our logs.")
    details: Any = None


class KeyShape(Schema):
    id: str = Field(description="key_…; names the key in addresses. Its prefix does too.")
    name: str
    prefix: str = Field(description="The first characters of the key, to tell keys apart.")
    scopes: list[str]
    is_test: bool = Field(description="Test keys never spend money.")
    state: Literal["active", "expired", "revoked"]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Seconds late.")
    uses: int = Field(description="Requests so far; seconds late.")
    allowed_models: list[str] = Field(description="Only these of the client's models; empty: all of them.")
    denied_models: list[str] = Field(description="None of these, whatever is allowed.")
    jobs_per_minute: int | None = Field(description="null: the client's.")
    reads_per_minute: int | None = Field(description="null: the client's.")
    replaced_by: str | None = Field(description="The key that takes this one's place when it ends.")


class NewKeyShape(KeyShape):
    api_key: str = Field(description="The key itself. It is stored nowhere and never shown again.")


class KeyList(Schema):
    items: list[KeyShape]
    next_cursor: str | None


class KeyPage(Schema):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200, description="next_cursor of the page before.")


class KeyBody(Schema):
    model_config = ConfigDict(extra="forbid")
    name: Name = Field("default", description="For people; need not be unique.")
    scopes: list[str] = Field(min_length=1, max_length=50, description="No others than the calling key has.")
    is_test: bool | None = Field(None, description="Absent: as the calling key. A test key makes test keys only.")
    expires_at: Annotated[AwareDatetime, AfterValidator(in_utc)] | None = Field(
        None, description="With a time zone. Absent: when the calling key does, if ever; never later than that."
    )
    allowed_models: ModelList = Field([], description=f"{_LIST_HELP} Empty: those of the calling key.")
    denied_models: ModelList = Field([], description=f"{_LIST_HELP} Those of the calling key are added.")
    jobs_per_minute: int | None = Field(None, ge=0, description="Absent: as the calling key; never more than that.")
    reads_per_minute: int | None = Field(None, ge=0, description="Absent: as the calling key; never more than that.")


class RotateBody(Schema):
    model_config = ConfigDict(extra="forbid")
    overlap_seconds: int = Field(
        DEFAULT_OVERLAP_SECONDS,
        ge=0,
        le=2_592_000,
        description="How long the old key goes on: 0 to 30 days, and never past its end.",
    )
