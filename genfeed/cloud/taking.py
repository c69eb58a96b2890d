"""Taking a checked export in: the same sync as from a provider, with the export in the provider's place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog import discovery, sync_runs
from catalog.exchange import file_format, signing
from catalog.exchange.contents import Contents, read_contents
from catalog.exchange.file_format import BadExportError, Export
from catalog.exchange.source import ExportSource
from catalog.models import Provider, SyncRun
from genfeed.cloud.downloading import CloudError, Progress
from genfeed.sync import sync_from
from pricing.models import CloudCatalog

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trust:
    """What the caller overrules: another key than the pinned one, an older export, a catalog that lost its half."""

    new_key: bool = False
    older: bool = False
    shrink: bool = False


@dataclass
class Taken:
    """What became of it: the runs that took it in, and `is_news` False where there was nothing new."""

    revision: int
    is_news: bool = False
    runs: list[SyncRun] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class LacksBaseError(Exception):
    """An increment builds on something that is not here: the whole catalog is needed."""


def had() -> CloudCatalog | None:
    """What was taken last, and whose key is pinned; None before the first time."""
    return CloudCatalog.objects.filter(pk=1).first()


def trusted_key(offered: Callable[[], str], configured: str, trust: Trust) -> str:
    """The key that exports must be signed with: the pinned one, the configured one, or the one offered at first use.

    Raises CloudError where the configured one is none, or is another than the pinned one.
    """
    state = had()
    try:
        wanted = signing.check_public_key(configured) if configured else ""
        if state and not trust.new_key:
            if wanted and wanted != state.public_key:
                raise CloudError(
                    "CLOUD_PUBLIC_KEY is another key than the one that was pinned at first use. Run the command once "
                    "with --trust-new-key if that is meant."
                )
            return state.public_key
        return wanted or signing.check_public_key(offered())
    except signing.BadKeyError as error:
        raise CloudError(str(error)) from None


def check(content: bytes, public_key: str, trust: Trust) -> Export:
    """The export in these bytes, when it may be taken here; raises BadExportError. Nothing is written."""
    export = file_format.read(content, public_key=public_key)
    state = had()
    known = state.revision if state and state.public_key == public_key else 0
    if export.header.since > known:
        raise BadExportError(
            "gap",
            f"The export holds what changed after revision {export.header.since}, and revision {known} is what is "
            "here. Take the whole catalog first.",
        )
    if export.header.revision < known and not trust.older:
        raise BadExportError(
            "older",
            f"The export is revision {export.header.revision}, older than revision {known}, which is here. If the "
            "cloud went back to an older state, run the command once with --accept-older.",
        )
    return export


def take(
    export: Export,
    *,
    origin: str,
    trigger: str,
    trust: Trust,
    requested_by: str = "",
    queued: Mapping[str, SyncRun] | None = None,
    progress: Progress | None = None,
) -> Taken:
    """Takes a checked export in, provider by provider; raises CloudError, BadExportError and LacksBaseError.

    Each provider's catalog is written in one transaction, its prices in another. What was taken is remembered once all
    of it is there; before that, the next attempt begins with the same export. `queued`: runs that wait for it, by slug.
    """
    try:
        return _take(export, origin, trigger, trust, requested_by, queued or {}, progress)
    except (CloudError, BadExportError, LacksBaseError):
        raise
    except Exception as error:
        # Whatever a cloud may have thought of: it is told as its trouble, and the next sync tries again.
        logger.exception("the export %d of %s could not be taken in", export.header.revision, origin)
        raise CloudError(
            f"The export could not be taken in ({type(error).__name__}); the log tells more. What is here stays in use."
        ) from error


def _take(
    export: Export,
    origin: str,
    trigger: str,
    trust: Trust,
    requested_by: str,
    queued: Mapping[str, SyncRun],
    progress: Progress | None,
) -> Taken:
    before = had()
    contents = _read(export)
    rows = sync_runs.ensure_providers()
    taken = Taken(export.header.revision, is_news=True)
    taken.skipped = sorted(contents.keys() - rows.keys())
    sources = {slug: ExportSource(rows[slug], part, source=origin) for slug, part in contents.items() if slug in rows}
    lacking = [one for source in sources.values() for one in source.lacking]
    if lacking:
        raise LacksBaseError(f"{len(lacking)} models that the export takes for known are not here, e.g. {lacking[0]}.")
    for slug, source in sources.items():
        run = queued.get(slug) or _open_run(rows[slug], trigger, requested_by)
        options = discovery.Options(accept_shrink=trust.shrink, schemas=list(source.records), absence_is_certain=True)
        done = sync_from(source, run, options=options, on_progress=progress)
        taken.runs.append(done)
        prices = done.report.get("prices", {})
        problem = done.error or prices.get("error", "")
        if done.status != SyncRun.Status.SUCCEEDED or problem:
            raise CloudError(f"{rows[slug].name}: the catalog of the export could not be taken in. {problem}")
    _remember(export, origin, before)
    return taken


def _read(export: Export) -> dict[str, Contents]:
    header, state = export.header, had()
    is_base = state is not None and (state.public_key, state.revision) == (header.key, header.since)
    try:
        return read_contents(export, had=state.state if state and is_base else "")
    except BadExportError as error:
        if error.reason == "gap":
            raise LacksBaseError(str(error)) from None
        raise


def _open_run(provider: Provider, trigger: str, requested_by: str) -> SyncRun:
    run, is_new = sync_runs.request_run(provider, trigger=trigger, requested_by=requested_by)
    if not is_new:
        raise CloudError(f"A sync of {provider.name} is under way. Try again when it is done.")
    return run


def pin(public_key: str) -> None:
    """Remembers the key at its first good use. Another one begins with nothing: its revisions are its own."""
    with transaction.atomic():
        state = CloudCatalog.objects.select_for_update().filter(pk=1).first()
        if state is None:
            CloudCatalog.objects.create(pk=1, public_key=public_key)
        elif state.public_key != public_key:
            CloudCatalog.objects.filter(pk=1).update(
                public_key=public_key, pinned_at=timezone.now(), revision=0, state=""
            )


def note_answer() -> None:
    """Notes that the cloud has just answered."""
    CloudCatalog.objects.filter(pk=1).update(checked_at=timezone.now())


def _remember(export: Export, origin: str, before: CloudCatalog | None) -> None:
    """Notes what is here now, unless another machine of this installation took something meanwhile: raises CloudError.

    Then what is here may be of both. Its revision stays, without a state that anything could build on, so that the next
    sync takes the whole catalog.
    """
    header = export.header
    now = timezone.now()
    values: dict[str, Any] = {
        "revision": header.revision,
        "state": header.state,
        "made_at": header.made_at[:40],
        "sha256": header.sha256,
        "signature": export.signature,
        "origin": origin[:300],
        "imported_at": now,
        "checked_at": now,
    }
    base = (before.revision, before.state) if before and before.public_key == header.key else (0, "")
    here = CloudCatalog.objects.filter(pk=1)
    if not here.filter(public_key=header.key, revision=base[0], state=base[1]).update(**values):
        here.update(state="")
        raise CloudError("Another process has taken the catalog in meanwhile. The next sync takes the whole catalog.")
