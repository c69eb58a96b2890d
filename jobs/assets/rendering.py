"""Files as the API shows them, and outputs with our addresses in the place of the provider's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobs.assets.fetching import replaced
from jobs.assets.links import signed_url
from jobs.assets.models import Asset
from jobs.assets.scanning import is_on
from jobs.models import Job, Status

State = Asset.State


def assets_of(jobs: Iterable[Job]) -> dict[str, list[Asset]]:
    """The files of jobs by the job's id, in one query; none where no job has succeeded."""
    # A job that was answered from a stored result has the files of that.
    owners = {job.pk: job.cached_from_id or job.pk for job in jobs if job.status == Status.SUCCEEDED}
    found: dict[str, list[Asset]] = defaultdict(list)
    if owners:
        for asset in Asset.objects.filter(job__in=set(owners.values())).select_related("client").order_by("id"):
            found[str(asset.job_id)].append(asset)
    return {job: found[owner] for job, owner in owners.items() if owner in found}


def render_asset(asset: Asset, *, base_url: str | None = None) -> dict[str, Any]:
    """A file as JSON values; `url` is signed, and null where there is nothing to hand out."""
    return {
        "id": asset.pk,
        "livemode": not asset.client.is_test,
        "kind": asset.kind,
        "name": asset.name,
        "content_type": asset.content_type or None,
        "size": asset.size,
        "width": asset.width,
        "height": asset.height,
        "seconds": asset.seconds,
        "fps": asset.fps,
        "sha256": asset.sha256 or None,
        "url": url_of(asset, base_url=base_url),
        "state": asset.state,
        "problem": _problem(asset),
        "nsfw": asset.is_nsfw,
        "path": ".".join(str(part) for part in asset.places[0]) if asset.places else None,
        "job": asset.job_id,
        "created_at": _moment(asset.created_at),
    }


def url_of(asset: Asset, *, base_url: str | None = None) -> str | None:
    """Our signed address of a file that may be handed out."""
    if asset.state != State.STORED or is_withheld(asset):
        return None
    return signed_url(asset.pk, asset.name, base_url=base_url)


def is_withheld(asset: Asset) -> bool:
    """Whether a file is kept back because it is flagged, and its client wants none of those."""
    return asset.is_nsfw and asset.client.withholds_nsfw


def output_with_urls(output: Any, assets: Iterable[Asset], *, base_url: str | None = None) -> Any:
    """The output with our addresses of what is stored, and null for what may not be had.

    The provider's own address stays while a file is on its way, and where it could not be brought; not where a scanner
    must see it first.
    """
    for asset in assets:
        if asset.state == State.STORED or is_withheld(asset):
            url = url_of(asset, base_url=base_url)
        elif asset.state in (State.PENDING, State.FAILED) and not is_on():
            continue
        else:
            url = None
        for place in asset.places:
            output = replaced(output, place, url)
    return output


def _problem(asset: Asset) -> str | None:
    if is_withheld(asset):
        return "it is flagged as NSFW, and files like that are withheld from this client"
    return asset.problem or None


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
