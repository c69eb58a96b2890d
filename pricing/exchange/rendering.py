"""Exports, made once and kept as bytes: after every sync and every hour, never while a request waits for the whole."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from catalog import revisions
from catalog.exchange import file_format
from catalog.exchange.signing import fingerprint, own_public_key, signing_key
from catalog.models import Provider
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.times import rfc3339
from pricing.exchange.records import Made, make_records
from pricing.models import BillingEvent, ExportedModel, ExportState, PastExport, RenderedExport

KEY_ALERT = "catalog_key_differs"
# Increments that are kept beside the whole: installations that sync every hour ask for the same few.
_KEPT = 30
# Past exports that increments are made for; whoever has an older one takes the whole.
_KEPT_STATES = 2000


@dataclass(frozen=True)
class Newest:
    """The newest export: its number, an ETag that stands for all that it says, and the key that it is signed with."""

    revision: int
    state: str
    public_key: str = ""

    @property
    def etag(self) -> str:
        return f'"{self.revision}-{self.state[:_SHORT]}"'


# Of a state within an ETag.
_SHORT = 32


def newest() -> Newest | None:
    """The newest export; None before the first."""
    row = ExportState.objects.filter(pk=1).first()
    return Newest(row.revision, row.state, row.public_key) if row and row.revision else None


def refresh(*, new_key: bool = False) -> Newest | None:
    """Brings the export to what the catalog says now; None where the catalog is empty. Reads first, then writes.

    A machine with another key than the one that exports are signed with makes none, and an alert tells of it: those who
    trust that key would refuse it. `new_key`: from now on this machine's key is the one.
    """
    made_of = _sources()
    before, _ = ExportState.objects.get_or_create(pk=1)
    own, machine = own_public_key(), socket.gethostname()
    if before.public_key not in ("", own) and not new_key:
        raise_alert(
            KEY_ALERT, machine, "A machine has another key than the one that exports of the catalog are signed with",
            f"{machine} has the key {fingerprint(own)}, exports are signed with {fingerprint(before.public_key)}. Give "
            "all machines the same CATALOG_SIGNING_KEY. If the key was changed on purpose, run `manage.py "
            "export_catalog FILE --new-key` once; installations that take the catalog must trust it anew.",
        )  # fmt: skip
        return newest()
    resolve(KEY_ALERT, machine)
    if before.made_of == made_of:
        return newest()
    records = make_records()
    if not records:
        return None
    digests = {one.key: one.digest for one in records}
    state = _state_of(records, digests)
    if state == before.state:
        ExportState.objects.filter(pk=1, revision=before.revision).update(made_of=made_of, public_key=own)
        return newest()
    at = revisions.current()
    revision = max(at.number if at else 0, before.revision + 1)
    now = timezone.now()
    body = file_format.write(
        [_table(records, len(records)), *(one.line for one in records)],
        signing_key(), revision=revision, since=0, state=state, made_at=rfc3339(now),
    )  # fmt: skip
    with transaction.atomic():
        moved = ExportState.objects.filter(pk=1, revision=before.revision).update(
            revision=revision, state=state, made_at=now, made_of=made_of, public_key=own
        )
        if moved:
            _remember(records, digests, revision)
            _remember_past(before)
            RenderedExport.objects.all().delete()
            RenderedExport.objects.create(revision=revision, since=0, body=body)
    # Where another process was faster, its export is as new as ours would have been.
    return newest()


def body_of(export: Newest, *, since: int, had: str = "") -> bytes | None:
    """The bytes of an export since an earlier one; None where it is not the newest any more.

    The whole catalog where `since` is no earlier export of this history, or where most of it has changed since. `had`:
    the ETag of what the asker has. One of the same number and another state is of another history: this catalog went
    on from a backup. A machine with another key makes no increments.
    """
    base = _state_at(export, since) if since else None
    is_forked = bool(base) and f'"{since}-' in had and Newest(since, base or "").etag not in had
    is_ours = export.public_key in ("", own_public_key())
    if base is None or is_forked or not is_ours or _is_mostly_new(since):
        since, base = 0, ""
    kept = RenderedExport.objects.filter(revision=export.revision, since=since).first()
    if kept:
        return bytes(kept.body)
    return _render(export, since, base) if since else None


def _is_mostly_new(since: int) -> bool:
    return ExportedModel.objects.filter(revision__gt=since).count() * 2 > ExportedModel.objects.count()


def _state_at(export: Newest, revision: int) -> str | None:
    """The state of the newest or of a past export; None where it is none of this history, or forgotten."""
    if revision == export.revision:
        return export.state
    if revision > export.revision:
        return None
    return PastExport.objects.filter(revision=revision).values_list("state", flat=True).first()


def _render(export: Newest, since: int, base: str) -> bytes | None:
    of_all = ExportedModel.objects.order_by("model__provider__slug", "model__endpoint_id")
    known = sorted(of_all.values_list("model__provider__slug", "model__endpoint_id"))
    changed = of_all.filter(revision__gt=since).values_list("body", flat=True)
    lines = [zlib.decompress(bytes(body)) for body in changed]
    # Looked at last: exports only ever become newer, so all that was read before is of this one.
    state = ExportState.objects.get(pk=1)
    if (state.revision, state.state) != (export.revision, export.state) or state.made_at is None:
        return None
    body = file_format.write(
        [_table_of(known, len(lines), base), *lines],
        signing_key(), revision=export.revision, since=since, state=export.state, made_at=rfc3339(state.made_at),
    )  # fmt: skip
    try:
        with transaction.atomic():
            RenderedExport.objects.create(revision=export.revision, since=since, body=body)
    except IntegrityError:
        # Another process made the same: the bytes do not differ, so that ranges of both fit together.
        pass
    old = RenderedExport.objects.exclude(since=0).order_by("-made_at", "-pk").values_list("pk", flat=True)[_KEPT:]
    RenderedExport.objects.filter(pk__in=list(old)).delete()
    return body


def _sources() -> str:
    """Whatever an export follows from changes one of these; all of it is read once a day in any case."""
    at = revisions.current()
    bill = BillingEvent.objects.aggregate(newest=Max("pk"))["newest"]
    key = sha256(own_public_key().encode()).hexdigest()[:12]
    today = timezone.now().date().toordinal()
    told = int(settings.PRICES_ARE_LIST_PRICES)
    return f"{at.number if at else 0}.{bill or 0}.{file_format.FORMAT}.{key}.{told}.{today}"


def _state_of(records: Iterable[Made], digests: dict[int, str]) -> str:
    """A digest of all that an export says, its format and its key: the same words in another form are other bytes."""
    said = [[one.provider, one.endpoint_id, digests[one.key]] for one in records]
    return sha256(orjson.dumps([file_format.FORMAT, own_public_key(), said])).hexdigest()


def _remember(records: list[Made], digests: dict[int, str], revision: int) -> None:
    known = dict(ExportedModel.objects.values_list("model_id", "digest"))
    ExportedModel.objects.exclude(model__in=list(digests)).delete()
    changed = [one for one in records if known.get(one.key) != digests[one.key]]
    ExportedModel.objects.bulk_create(
        [
            ExportedModel(model_id=one.key, digest=digests[one.key], revision=revision, body=zlib.compress(one.line, 1))
            for one in changed
        ],
        batch_size=200,
        update_conflicts=True,
        unique_fields=["model"],
        update_fields=["digest", "revision", "body"],
    )


def _remember_past(before: ExportState) -> None:
    if not before.revision:
        return
    PastExport.objects.update_or_create(revision=before.revision, defaults={"state": before.state})
    kept = PastExport.objects.order_by("-revision").values_list("revision", flat=True)[_KEPT_STATES:][:1]
    PastExport.objects.filter(revision__lte=next(iter(kept), 0)).delete()


def _table(records: Iterable[Made], count: int) -> bytes:
    return _table_of([(one.provider, one.endpoint_id) for one in records], count)


def _table_of(known: Iterable[tuple[str, str]], count: int, base: str = "") -> bytes:
    names = dict(Provider.objects.values_list("slug", "name"))
    providers: dict[str, dict[str, object]] = {}
    for slug, endpoint_id in known:
        ids = providers.setdefault(slug, {"name": names[slug], "ids": []})["ids"]
        ids.append(endpoint_id)  # type: ignore[attr-defined]
    return orjson.dumps({"providers": providers, "records": count, "base_state": base})
