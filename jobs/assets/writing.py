"""The rows of a job's files, for the transaction that ends it: from then on they are fetched."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Sequence
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


def named(assets: Sequence[Asset], files: Sequence[Found]) -> dict[str, Any]:
    """What the event of a job's end says of its files: name, MIME type, bytes and seconds, as far as they are told.

    Once a file is stored, what was read from it takes their place (`jobs.events.rendering`).
    """
    told = [
        {
            "id": asset.pk,
            "kind": asset.kind,
            "name": asset.name,
            "content_type": file.told.get("content_type") or mimetypes.guess_type(asset.name)[0],
            "size": file.told.get("size"),
            "seconds": file.told.get("seconds"),
        }
        for asset, file in zip(assets, files, strict=True)
    ]
    return {"assets": told} if told else {}
