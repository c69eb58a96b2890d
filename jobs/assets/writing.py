"""The rows of a job's files, for the transaction that ends it: from then on they are fetched."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobs.assets.finding import Found
from jobs.assets.models import Asset
from jobs.ids import new_id
from jobs.models import Job

_KINDS = {"image": "image", "video": "video", "audio": "audio", "3d": "3d"}


def make_assets(job: Job, files: Iterable[Found], *, now: datetime) -> list[Asset]:
    """One row for each file, not saved yet. Data URIs stay in the output until they are stored."""
    return [
        Asset(
            id=new_id("ast"),
            client_id=job.client_id,
            job_id=job.pk,
            kind=_KINDS.get(file.promised, "other"),
            promised=file.promised[:8],
            name=file.name,
            places=[list(place) for place in file.places],
            source_url="" if file.url.startswith("data:") else file.url,
            is_nsfw=file.is_nsfw,
            next_at=now,
            created_at=now,
        )
        for file in files
    ]


def named(assets: Iterable[Asset]) -> dict[str, Any]:
    """What the event of a job's end says of its files; type, size and length follow in the job once they are stored."""
    files = [{"id": asset.pk, "kind": asset.kind, "name": asset.name} for asset in assets]
    return {"assets": files} if files else {}
