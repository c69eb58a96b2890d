"""One sync with the cloud, and the catalog as a file: what commands, the schedule and the admin's button call."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from catalog import sync_runs, upstreams
from catalog.exchange import file_format
from catalog.exchange.file_format import BadExportError
from catalog.models import SyncRun
from genfeed.cloud import taking
from genfeed.cloud.downloading import Asked, CloudError, Progress, configured_cloud
from genfeed.cloud.standing import NAME
from genfeed.cloud.taking import LacksBaseError, Taken, Trust
from genfeed.journal import links
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.exchange import rendering

ALERT = "cloud_sync_failed"


class UnderWayError(CloudError):
    """Another process of this installation is at it: what it brings is all there is."""


def sync_from_cloud(
    *,
    trigger: str,
    full: bool = False,
    trust: Trust | None = None,
    requested_by: str = "",
    queued: Mapping[str, SyncRun] | None = None,
    progress: Progress | None = None,
) -> Taken:
    """Asks the cloud for what is new and takes it in; raises CloudError, BadExportError. The old catalog stays then.

    One request where nothing is new. `full`: take the whole catalog, also what is had. `queued`: runs that a person
    has asked for, by provider; they are closed in any case.
    """
    waiting = dict(queued or {})
    # What the runs are closed with where an error comes that nobody thought of.
    outcome = "The sync ended with an error that the log tells."
    try:
        taken = _alone(trigger, full, trust or Trust(), requested_by, waiting, progress or _silent)
        outcome = ""
    except UnderWayError as error:
        outcome = str(error)
        raise
    except (CloudError, BadExportError) as error:
        _note(error)
        outcome = str(error)
        raise_alert(
            ALERT, "cloud", "The catalog could not be brought from the cloud; the one that is here stays in use",
            outcome, level=Alert.Level.WARNING, url=links.to_page("pricing_cloudcatalog_changelist"),
        )  # fmt: skip
        raise
    finally:
        _close(waiting, outcome)
    upstreams.note_reached(NAME)
    resolve(ALERT, "cloud")
    return taken


def _alone(
    trigger: str, full: bool, trust: Trust, requested_by: str, waiting: Mapping[str, SyncRun], progress: Progress
) -> Taken:
    """The sync, unless another one is under way: two would write into the same file of what was downloaded so far."""
    folder = settings.VAR_DIR / "cloud"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The system lets go of the lock when the process ends, however it ends.
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UnderWayError("A sync with the cloud is under way. Try again when it is done.") from None
            return _sync(trigger, full, trust, requested_by, waiting, progress)
    except OSError as error:
        raise CloudError(
            f"{error.filename or folder} can't be written: {error.strerror or error}. Make room and see that GenFeed "
            "may write there; what was downloaded so far is gone on from."
        ) from None


def _sync(
    trigger: str, full: bool, trust: Trust, requested_by: str, waiting: Mapping[str, SyncRun], progress: Progress
) -> Taken:
    with configured_cloud() as cloud:
        key = taking.trusted_key(cloud.public_key, settings.CLOUD_PUBLIC_KEY, trust)
        state = taking.had()
        same = state is not None and state.public_key == key and state.revision > 0 and not full
        asked = Asked(state.revision, etag_of(state.revision, state.state)) if state and same else Asked()
        while True:
            content = cloud.fetch(asked, progress)
            if content is None:
                taking.note_answer()
                return Taken(asked.since)
            try:
                # Whatever it turns out to be: what is no good would be no better as the beginning of the next one.
                export = taking.check(content, key, trust)
                taking.pin(key)
                taken = taking.take(
                    export, origin=settings.CLOUD_URL, trigger=trigger, trust=trust, requested_by=requested_by,
                    queued=waiting, progress=progress,
                )  # fmt: skip
            except LacksBaseError as error:
                cloud.forget()
                if not asked.since:
                    raise CloudError(str(error)) from None
                asked = Asked()
                continue
            except BadExportError:
                cloud.forget()
                raise
            cloud.forget()
            return taken


def import_file(path: Path, *, trust: Trust | None = None, progress: Progress | None = None) -> Taken:
    """Takes the catalog in a file in; raises CloudError, BadExportError. The old catalog stays then."""
    trust = trust or Trust()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CloudError(f"{path} can't be read: {error.strerror}.") from None
    key = taking.trusted_key(lambda: file_format.signer(content), settings.CLOUD_PUBLIC_KEY, trust)
    export = taking.check(content, key, trust)
    state = taking.had()
    if state and (state.public_key, state.revision, state.state) == (key, export.header.revision, export.header.state):
        return Taken(state.revision)
    taking.pin(key)
    try:
        return taking.take(export, origin=path.name, trigger="command", trust=trust, progress=progress)
    except LacksBaseError as error:
        raise CloudError(f"{error} Take a file with the whole catalog.") from None


def export_file(path: Path, *, since: int = 0, new_key: bool = False) -> tuple[int, int, str]:
    """Writes the catalog of this installation into a file; its revision, size and public key. Raises CloudError.

    `new_key`: exports are signed with the key of this machine from now on.
    """
    export = rendering.refresh(new_key=new_key)
    body = rendering.body_of(export, since=since) if export else None
    if export is None or body is None:
        raise CloudError("There is no catalog to export yet. Run `manage.py sync_models` first.")
    try:
        path.write_bytes(body)
    except OSError as error:
        raise CloudError(f"{path} can't be written: {error.strerror}.") from None
    return export.revision, len(body), export.public_key


def etag_of(revision: int, state: str) -> str:
    """The ETag by which the cloud knows an export."""
    return rendering.Newest(revision, state).etag


def _close(waiting: Mapping[str, SyncRun], error: str) -> None:
    """Ends the runs that nothing came for: with the error, or because there was nothing new."""
    for run in waiting.values():
        lease = sync_runs.claim(run, source=settings.CLOUD_URL)
        if lease is None:
            continue
        if error:
            lease.finish(SyncRun.Status.FAILED, error=error)
        else:
            lease.finish(SyncRun.Status.SUCCEEDED, report={"cloud": {"news": False}})


def _note(error: CloudError | BadExportError) -> None:
    """Tells all processes whether the cloud can be reached. All attempts of one sync in vain are enough to say no."""
    if isinstance(error, BadExportError):
        upstreams.note_reached(NAME)
    elif error.is_offline:
        upstreams.note_unreachable(NAME, str(error), times=upstreams.OFFLINE_AFTER)


def _silent(_phase: str, _done: int, _total: int) -> None:
    return
