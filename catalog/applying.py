"""Writing what a sync has read: everything in one transaction, or nothing.

All reading and mapping is done before; here only rows are compared and written. The transaction begins with the
proof that the lease still holds and ends with closing the run, so a sync that lost its lease changes nothing.
"""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from catalog import availability, reporting
from catalog.changes.comparing import change_class, diff_schemas
from catalog.existing import KEPT_COLUMNS
from catalog.fetching import Listing
from catalog.models import AIModel, Provider, SchemaVersion, SyncRun
from catalog.providers.base import ListedModel
from catalog.reporting import Outcome
from catalog.revisions import publish
from catalog.schemas.mapping import MappedSchema
from catalog.schemas.understanding import NotUnderstood, Understood, derived_columns, mapped_of
from catalog.sync_runs import Lease
from genfeed.journal.alerts import resolve

# One complete listing without a model may be a row that moved between two pages; two are an answer.
LISTINGS_BEFORE_RETIREMENT = 2
# What a sync may change of a row that exists.
_WRITTEN_COLUMNS = (
    "name", "description", "category", "status", "tags", "thumbnail_url", "metadata", "upstream_updated_at",
    "upstream_version",
    "media_type", "media_type_source", "kind", "capabilities", "limits", "enabled", "held_reason",
    "schema_state", "schema_problem", "schema_version",
    "changed_at", "missed_listings", "retired_at", "revision",
)  # fmt: skip


@dataclass
class _Working:
    """The rows of one provider while a sync is written."""

    provider: Provider
    run: SyncRun
    now: datetime
    rows: dict[str, AIModel]
    fingerprints: dict[int, str]
    outcome: Outcome = field(default_factory=Outcome)
    touched: set[str] = field(default_factory=set)  # something that clients can see
    written: set[str] = field(default_factory=set)  # anything but the time of the last look
    checked: list[int] = field(default_factory=list)  # keys of the rows whose schema was looked at
    new_versions: list[tuple[AIModel, SchemaVersion]] = field(default_factory=list)


def apply_sync(run: SyncRun, lease: Lease, listing: Listing, schemas: dict[str, Understood | NotUnderstood]) -> Outcome:
    """Brings the catalog to what was read, publishes it, and closes the run; raises LeaseLostError, writing nothing."""
    with transaction.atomic(durable=True):
        lease.prove()
        work = _load(run)
        for model in listing.models.values():
            _take_in(work, model, schemas.get(model.endpoint_id))
        _retire_absent(work, listing)
        for endpoint_id, row in work.rows.items():
            is_new = row.pk is None
            if (is_new or endpoint_id in work.written) and availability.refresh(row, is_new=is_new):
                work.touched.add(endpoint_id)
                work.outcome.offered += [endpoint_id] * row.enabled
        revision = _write(work)
        resolve("sync_failed", work.provider.slug)
        reporting.announce(work.provider, work.outcome, work.rows, same_source=_is_same_source(run))
        report = reporting.build_report(work.outcome, work.rows, listing.problems)
        lease.finish(
            SyncRun.Status.SUCCEEDED,
            listed=len(listing.models),
            schemas_fetched=len(schemas),
            added=len(work.outcome.added),
            changed=sum(version.number > 1 for version in work.outcome.versions.values()),
            updated=len(work.outcome.updated),
            retired=len(work.outcome.retired),
            failed=len(work.outcome.reasons),
            report=report,
            revision=revision,
        )
    return work.outcome


def _is_same_source(run: SyncRun) -> bool:
    last = SyncRun.objects.filter(provider=run.provider, status=SyncRun.Status.SUCCEEDED).defer("report").first()
    return last is None or last.source == run.source


def _load(run: SyncRun) -> _Working:
    provider = run.provider
    rows = {
        row.endpoint_id: row for row in AIModel.objects.select_for_update().filter(provider=provider).order_by("pk")
    }
    fingerprints = dict(
        SchemaVersion.objects.filter(model__provider=provider, number=F("model__schema_version")).values_list(
            "model_id", "fingerprint"
        )
    )
    return _Working(provider=provider, run=run, now=timezone.now(), rows=rows, fingerprints=fingerprints)


def _take_in(work: _Working, listed: ListedModel, schema: Understood | NotUnderstood | None) -> None:
    row = work.rows.get(listed.endpoint_id)
    if row is None:
        if listed.status != AIModel.Status.ACTIVE:
            return
        row = AIModel(provider=work.provider, endpoint_id=listed.endpoint_id, first_seen_at=work.now)
        work.rows[listed.endpoint_id] = row
        work.outcome.added.append(listed.endpoint_id)
        work.touched.add(listed.endpoint_id)
    elif row.origin == AIModel.Origin.MANUAL:
        # Added by hand under an id that its provider lists too: what a person wrote stands.
        return
    category_changed = _copy_metadata(work, row, listed)
    if schema:
        _take_schema(work, row, schema)
    if isinstance(schema, Understood):
        derived = schema.derived
    elif category_changed or row.pk is None:
        derived = derived_columns(row.category, listed.kind, _current_mapped(row))
    else:
        return
    for column, value in derived.items():
        _set(work, row, column, value)


def _copy_metadata(work: _Working, row: AIModel, listed: ListedModel) -> bool:
    """Copies the listing's columns; returns whether category or kind changed, from which others are derived."""
    derived_from = (row.category, row.metadata.get("kind"))
    is_new = row.pk is None
    if row.status == AIModel.Status.RETIRED:
        work.outcome.returned.append(listed.endpoint_id)
        _set(work, row, "retired_at", None)
    elif listed.status == AIModel.Status.DEPRECATED and row.status == AIModel.Status.ACTIVE and not is_new:
        work.outcome.deprecated.append(listed.endpoint_id)
    _set(work, row, "status", listed.status)
    if row.missed_listings:
        row.missed_listings = 0
        work.written.add(row.endpoint_id)
    visible = False
    for column in ("name", "description", "category", "tags", "thumbnail_url"):
        if row.origin == AIModel.Origin.EXISTING and column in KEPT_COLUMNS:
            continue
        visible |= _set(work, row, column, getattr(listed, column))
    version = row.upstream_version if listed.version is None else listed.version
    told = (listed.metadata, listed.updated_at, version)
    if (row.metadata, row.upstream_updated_at, row.upstream_version) != told:
        row.metadata, row.upstream_updated_at, row.upstream_version = told
        work.written.add(row.endpoint_id)
        visible = True
    if visible and not is_new:
        work.outcome.updated.append(row.endpoint_id)
    return derived_from != (row.category, listed.kind)


def _take_schema(work: _Working, row: AIModel, schema: Understood | NotUnderstood) -> None:
    """Records the schema, as a new version where it differs. What is not understood leaves the last good version."""
    if isinstance(schema, Understood) or schema.answered:
        row.schema_checked_at = work.now
        if row.pk:
            work.checked.append(row.pk)
    if isinstance(schema, NotUnderstood):
        work.outcome.reasons[row.endpoint_id] = schema.reason
        _set(work, row, "schema_state", schema.state)
        _set(work, row, "schema_problem", schema.reason[:500])
        return
    state = AIModel.SchemaState.FLAGGED if schema.flags else AIModel.SchemaState.UNDERSTOOD
    _set(work, row, "schema_state", state)
    _set(work, row, "schema_problem", ", ".join(schema.flags)[:500])
    if row.pk and work.fingerprints.get(row.pk) == schema.fingerprint:
        return
    last = _current_mapped(row)
    changes = diff_schemas(last, schema.mapped()) if last else []
    row.schema_version += 1
    work.touched.add(row.endpoint_id)
    version = SchemaVersion(
        number=row.schema_version,
        fingerprint=schema.fingerprint,
        flags=schema.flags,
        change_class=change_class(changes) if last else SchemaVersion.ChangeClass.INITIAL,
        changes=changes,
        content=schema.content,
        sync_run=work.run,
        created_at=work.now,
    )
    work.new_versions.append((row, version))
    work.outcome.versions[row.endpoint_id] = version


def _current_mapped(row: AIModel) -> MappedSchema | None:
    if not row.pk or not row.schema_version:
        return None
    return mapped_of(SchemaVersion.objects.get(model=row, number=row.schema_version))


def _retire_absent(work: _Working, listing: Listing) -> None:
    enough = 1 if listing.absence_is_certain else LISTINGS_BEFORE_RETIREMENT
    for endpoint_id, row in work.rows.items():
        gone = row.status == AIModel.Status.RETIRED or row.origin != AIModel.Origin.DISCOVERED
        if gone or endpoint_id in listing.models:
            continue
        row.missed_listings += 1
        work.written.add(endpoint_id)
        if row.missed_listings >= enough:
            row.retired_at = work.now
            _set(work, row, "status", AIModel.Status.RETIRED)
            work.outcome.retired.append(endpoint_id)


def _set(work: _Working, row: AIModel, column: str, value: Any) -> bool:
    """Sets a column that clients can see; returns whether that changed it."""
    if getattr(row, column) == value:
        return False
    setattr(row, column, value)
    work.touched.add(row.endpoint_id)
    work.written.add(row.endpoint_id)
    return True


def _write(work: _Working) -> int | None:
    """Writes new and changed rows and versions; returns the published revision, None where clients see no change."""
    revision = None
    if work.touched:
        published = publish(f"sync of {work.provider.name}")
        revision = published.number
        for endpoint_id in work.touched:
            row = work.rows[endpoint_id]
            row.revision, row.changed_at = published.number, work.now
    changed = [row for endpoint_id, row in work.rows.items() if row.pk and endpoint_id in work.touched | work.written]
    AIModel.objects.bulk_update(changed, _WRITTEN_COLUMNS, batch_size=100)
    # Apart from the others: a full sync looks at every row and mostly changes none.
    for keys in batched(work.checked, 500):
        AIModel.objects.filter(pk__in=keys).update(schema_checked_at=work.now)
    AIModel.objects.bulk_create([row for row in work.rows.values() if row.pk is None], batch_size=200)
    for row, version in work.new_versions:
        version.model = row
    SchemaVersion.objects.bulk_create([version for _, version in work.new_versions], batch_size=200)
    return revision
