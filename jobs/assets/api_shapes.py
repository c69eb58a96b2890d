"""The shapes of files, as the OpenAPI document shows them; the bytes are rendered elsewhere."""

from datetime import datetime
from typing import Literal

from ninja import Schema
from pydantic import Field

KindName = Literal["image", "video", "audio", "3d", "archive", "text", "other"]
StateName = Literal["partial", "pending", "stored", "failed", "refused", "expired"]


class AssetShape(Schema):
    id: str
    livemode: bool = Field(description="false: brought or made by a test key.")
    kind: KindName
    name: str
    content_type: str | None = Field(description="By its bytes; null until it is stored.")
    size: int | None = Field(description="Bytes.")
    width: int | None
    height: int | None
    seconds: float | None
    fps: float | None
    sha256: str | None
    url: str | None = Field(description="Signed; good for a day or so without a key. Null while there is no file here.")
    state: StateName
    problem: str | None = Field(description="Why there is no file, or why it is late.")
    nsfw: bool = Field(description="Flagged so by the model.")
    path: str | None = Field(description="Where its address stands in the job's output.")
    job: str | None
    created_at: datetime


class AssetPage(Schema):
    items: list[AssetShape]
    next_cursor: str | None
