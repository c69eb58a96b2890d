"""Bringing a file here: `ask` downloads, reads, scans and stores it without the database, `apply` writes the rows.

A result whose file can't be brought stays a result: the asset says what is wrong, and is tried again where that may
help.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog.providers.sandbox_queue import allowed_here
from genfeed.media.headers import MediaFacts
from genfeed.media.sniffing import UNKNOWN, extension_of
from genfeed.net.addresses import GuardError, RefusedAddressError
from genfeed.net.guarded import GuardedClient
from jobs.assets import parts
from jobs.assets.bringing import BROUGHT, Bringing
from jobs.assets.models import Asset
from jobs.assets.reading import Read, read_file
from jobs.assets.scanning import CLEAN, ScanError, is_on, scan
from jobs.assets.storage import MovableFile, delete, name_for, open_file, storage, tell_trouble, trouble_is_over
from jobs.models import Job
from jobs.testmode.mode import is_test
from jobs.transitions import touch
from jobs.workflows.waking import wake
from pricing import sql

State = Asset.State
_FIRST_WAIT = 2.0
_LONGEST_WAIT = 3_600.0
_LONGEST_WAIT_FOR_ROOM = 120.0
_PIECE = 1024 * 1024
# What the reading, scanning and storing may take beyond the download.
_LEASE_SLACK = 300


class CannotFetchError(Exception):
    """Why there is no file, in words for the client. `state` None: try again later; else that is the end of it."""

    def __init__(self, message: str, state: str | None = None, *, finding: str = "") -> None:
        super().__init__(message)
        self.state = state
        self.finding = finding


class NotStoredError(CannotFetchError):
    """Our own disk or storage did not take it: no fault of the file's, which is tried until it is stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that lies in the storage."""

    storage_name: str
    size: int
    sha256: str
    read: Read


_DUE = """
SELECT id, client_id, {brought} FROM jobs_asset WHERE state = 'pending' AND next_at <= %s {but}
ORDER BY next_at LIMIT %s
"""
# Whoever changes the moment first has claimed it.
_CLAIM = """
UPDATE jobs_asset SET next_at = %s, attempts = attempts + 1
WHERE id IN ({}) AND state = 'pending' AND next_at <= %s RETURNING id
"""


def claim(limit: int, *, bringing: Bringing | None = None) -> list[Asset]:
    """Up to `limit` files whose time has come, each for one fetcher alone until its lease ends.

    `bringing` bounds those that clients named by their addresses, and is kept up; whoever is done with one tells it.
    """
    if limit <= 0:
        return []
    now = timezone.now()
    until = now + timedelta(seconds=settings.ASSET_DOWNLOAD_SECONDS + _LEASE_SLACK)
    due = _due(now, limit, bringing)
    if not due:
        return []
    ids = {key for (key,) in sql.rows(_CLAIM.format(sql.marks(due)), until, *due, now)}
    claimed = list(Asset.objects.filter(pk__in=ids, state=State.PENDING).select_related("job").order_by("id"))
    ours = {asset.pk for asset in claimed}
    for key, client_id in due.items():
        # Somebody else's, or deleted this moment.
        if bringing and client_id is not None and key not in ours:
            bringing.end(client_id)
    for asset in claimed:
        if asset.job_id is None and not asset.source_url:
            parts.load(asset)
    return claimed


def _due(now: datetime, limit: int, bringing: Bringing | None) -> dict[str, int | None]:
    """What to claim; of each the client where a place was taken for it."""
    but, full = "", bringing.full if bringing else []
    if bringing and bringing.is_full:
        but, full = f"AND NOT {BROUGHT}", []
    elif full:
        but = f"AND NOT ({BROUGHT} AND client_id IN ({sql.marks(full)}))"
    rows = sql.rows(_DUE.format(brought=BROUGHT, but=but), now, *full, limit)
    counted = {key: client_id if bringing and is_brought else None for key, client_id, is_brought in rows}
    return {
        key: client_id
        for key, client_id in counted.items()
        if client_id is None or (bringing is not None and bringing.begin(client_id))
    }


def ask(asset: Asset) -> Stored | CannotFetchError:
    """Fetches, checks and stores one file. Touches no rows."""
    try:
        with tempfile.NamedTemporaryFile(dir=settings.ASSET_TEMP_DIR, delete_on_close=False) as temporary:
            file = cast(BinaryIO, temporary)
            target = _Hashing(file)
            _fill(asset, target)
            file.flush()
            read = read_file(file, asset.name)
            _check(asset, read, target.digest.hexdigest())
            if finding := scan(file, name=read.name, content_type=read.content_type):
                raise CannotFetchError(f"the scanner found {finding}", State.REFUSED, finding=finding)
            file.seek(0)
            return Stored(_store(asset, file, read), target.size, target.digest.hexdigest(), read)
    except CannotFetchError as error:
        return error
    except ScanError as error:
        return CannotFetchError(str(error))
    except OSError as error:
        return _not_stored(error)


def apply(asset: Asset, outcome: Stored | CannotFetchError) -> None:
    """Writes down what became of a file; nothing where another attempt took over or the asset was deleted."""
    if isinstance(outcome, Stored):
        apply_all([(asset, outcome)])
        return
    is_ours = isinstance(outcome, NotStoredError)
    if is_ours:
        tell_trouble(str(outcome))
    ended = outcome.state or (State.FAILED if asset.attempts >= settings.ASSET_ATTEMPTS and not is_ours else None)
    columns: dict[str, Any] = {"problem": str(outcome)[:300], "scan_result": outcome.finding[:120]}
    if ended:
        columns["state"] = ended
    else:
        # With room on the disk again nobody waits for long.
        bound = min(_LONGEST_WAIT_FOR_ROOM if is_ours else _LONGEST_WAIT, _FIRST_WAIT * 2 ** min(asset.attempts, 20))
        # Half of it at least: a storm of files that fail together does not come back together.
        wait = bound * (0.5 + secrets.randbelow(1000) / 2000)
        columns["next_at"] = timezone.now() + timedelta(seconds=wait)
    if not ended:
        _update_mine(asset, columns)
        return
    with transaction.atomic(durable=True):
        won = _update_mine(asset, columns)
        if won:
            _wake_for([asset])
    if won:
        parts.discard(asset)


def apply_all(came: Sequence[tuple[Asset, Stored]]) -> None:
    """Writes down files that were stored, in one transaction. Raises DatabaseError, and then nothing is written."""
    with transaction.atomic(durable=True):
        # Everybody who locks several files takes them in this order.
        ordered = sorted(came, key=_key)
        done = [(*one, won) for one, won in zip(ordered, _note_stored(ordered), strict=True)]
        _wake_for(asset for asset, _, won in done if won)
    for asset, stored, won in done:
        if not won:
            # Another attempt took over, and reads the same parts.
            delete(stored.storage_name)
        elif not asset.job_id:
            parts.discard(asset)
    if any(won and asset.attempts > 1 for asset, _, won in done):
        trouble_is_over()


def give_up(asset: Asset, stored: Stored) -> None:
    """Fails a file that lies here and of which something can't be written down."""
    delete(stored.storage_name)
    apply(asset, CannotFetchError("what it says of itself can't be kept", State.FAILED))


def facts_columns(facts: MediaFacts) -> dict[str, Any]:
    """What a header says, as columns of an asset."""
    return {
        "width": facts.width,
        "height": facts.height,
        "seconds": None if facts.seconds is None else round(float(facts.seconds), 6),
        "frames": facts.frames,
        "fps": None if facts.fps is None else round(float(facts.fps), 6),
    }


def _key(one: tuple[Asset, Stored]) -> str:
    return one[0].pk


def _note_stored(came: Sequence[tuple[Asset, Stored]]) -> list[bool]:
    """Writes down where the files lie; of each whether it was still its fetcher's."""
    changed = sql.update_each(Asset, [(_stored_columns(stored), _mine(asset)) for asset, stored in came])
    for (asset, _), won in zip(came, changed, strict=True):
        if won and not asset.source_url and asset.job_id:
            _take_out_of_output(asset)
    return [bool(won) for won in changed]


def _stored_columns(stored: Stored) -> dict[str, Any]:
    return {
        "state": State.STORED,
        "problem": "",
        "scan_result": CLEAN if is_on() else "",
        "kind": stored.read.kind,
        "name": stored.read.name[-120:],
        "content_type": stored.read.content_type,
        "size": stored.size,
        "sha256": stored.sha256,
        "storage_name": stored.storage_name,
        "stored_at": timezone.now(),
        **facts_columns(stored.read.facts),
    }


def _update_mine(asset: Asset, columns: dict[str, Any]) -> int:
    return sql.update(Asset, columns, where=_mine(asset))


def _mine(asset: Asset) -> dict[str, Any]:
    return {"id": asset.pk, "state": State.PENDING, "attempts": asset.attempts}


def _wake_for(ended: Iterable[Asset]) -> None:
    """News for the workflows whose next steps may wait for these files, at the end of the caller's transaction."""
    for workflow in sorted({asset.job.workflow_id for asset in ended if asset.job and asset.job.workflow_id}):
        wake(workflow)


def _take_out_of_output(asset: Asset) -> None:
    """A stored data URI need not stand in the row of its job as well."""
    for _ in range(5):
        job = Job.objects.get(pk=asset.job_id)
        output = job.output
        for place in asset.places:
            output = replaced(output, place, f"asset:{asset.pk}")
        if touch(job, output=output):
            return


def replaced(value: Any, place: list[Any], new: Any) -> Any:
    """A copy of an output with another value at a place; the same where there is no such place."""
    if not place:
        return new
    first, rest = place[0], place[1:]
    if isinstance(value, Mapping) and first in value:
        return {**value, first: replaced(value[first], rest, new)}
    if isinstance(value, list) and isinstance(first, int) and first < len(value):
        return [*value[:first], replaced(value[first], rest, new), *value[first + 1 :]]
    return value


def value_at(value: Any, place: list[Any]) -> Any:
    """What stands at a place of an output; None where there is no such place."""
    for key in place:
        try:
            value = value[key]
        except (LookupError, TypeError):
            return None
    return value


class _Hashing:
    """Writes to a file, counting and hashing; a full disk is no fault of the host's."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, piece: bytes) -> int:
        try:
            self._file.write(piece)
        except OSError as error:
            raise _not_stored(error) from error
        self.size += len(piece)
        self.digest.update(piece)
        return len(piece)


def _fill(asset: Asset, target: Any) -> None:
    if asset.parts:
        _join(asset, target)
        return
    if not asset.source_url:
        target.write(_inline(value_at(asset.job.output, asset.places[0]) if asset.job and asset.places else None))
        return
    try:
        allow = allowed_here() if asset.job and is_test(asset.job) else settings.SSRF_ALLOW
        with GuardedClient(seconds=settings.ASSET_DOWNLOAD_SECONDS, allow=allow) as client:
            answer = client.download(asset.source_url, target, max_bytes=settings.ASSET_MAX_BYTES)
    except RefusedAddressError as error:
        raise CannotFetchError(f"its address is not fetched: {error}", State.REFUSED) from None
    except GuardError as error:
        raise CannotFetchError(str(error)) from None
    if 300 <= answer.status < 400:
        raise CannotFetchError("the host sends us elsewhere, and redirects are not followed")
    if answer.status != 200:
        raise CannotFetchError(f"the host answered {answer.status}")
    if not answer.is_whole:
        raise CannotFetchError(f"it is larger than {settings.ASSET_MAX_BYTES} bytes", State.FAILED)
    if target.size == 0:
        raise CannotFetchError("the host sent an empty file")


def _join(asset: Asset, target: Any) -> None:
    for name in asset.parts:
        try:
            part = open_file(name)
        except OSError:
            raise CannotFetchError("its parts can't be read") from None
        with closing(part):
            while piece := part.read(_PIECE):
                target.write(piece)
    if target.size != asset.announced:
        raise CannotFetchError("its parts can't be read")


def _inline(uri: Any) -> bytes:
    head, comma, body = uri.partition(",") if isinstance(uri, str) else ("", "", "")
    if not comma or not head.startswith("data:"):
        raise CannotFetchError("the output holds no file any more", State.FAILED)
    try:
        return base64.b64decode(body, validate=True) if head.endswith(";base64") else unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        raise CannotFetchError("its data URI can't be read", State.FAILED) from None


def _check(asset: Asset, read: Read, sha256: str) -> None:
    """A page or a text where media was promised is an error of the host's, not the file."""
    if asset.told_sha256 and asset.told_sha256 != sha256:
        raise CannotFetchError("its SHA-256 is not the one that was told", State.FAILED)
    if asset.origin == Asset.Origin.UPLOAD and read.content_type == UNKNOWN:
        raise CannotFetchError("it is no kind of file that is known by its bytes", State.REFUSED)
    if read.content_type == "text/html" or (asset.promised in ("image", "video", "audio") and read.kind == "text"):
        raise CannotFetchError(f"it is {read.content_type}, not {asset.promised or 'a file'}", State.REFUSED)


def _store(asset: Asset, file: Any, read: Read) -> str:
    # What an attempt left that died between storing and writing it down.
    for attempt in range(1, asset.attempts):
        delete(name_for(Asset(pk=asset.pk, client_id=asset.client_id, created_at=asset.created_at, attempts=attempt),
                        extension_of(read.content_type)))  # fmt: skip
    name = name_for(asset, extension_of(read.content_type))
    try:
        return storage().save(name, MovableFile(file, file.name))
    except OSError:
        # Half a file on a full disk would keep it full.
        with suppress(OSError):
            delete(name)
        raise


def _not_stored(error: OSError) -> NotStoredError:
    return NotStoredError(f"it could not be stored: {error.strerror or type(error).__name__}")
