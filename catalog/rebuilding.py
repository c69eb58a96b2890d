"""Bringing everything that follows from stored schemas up to date with the present code, without asking a provider."""

from dataclasses import dataclass

from django.db import transaction

from catalog import availability
from catalog.models import AIModel, SchemaVersion
from catalog.revisions import publish
from catalog.schemas.understanding import derived_columns, mapped_of

_DERIVED = ("media_type", "media_type_source", "kind", "capabilities", "limits", "enabled", "held_reason")


@dataclass(frozen=True)
class Rebuilt:
    revision: int
    models: int
    changed: int
    enabled: int


def rebuild_and_publish(*, reason: str) -> Rebuilt:
    """Derives the columns of all models anew and publishes a new revision, changed or not, in one transaction."""
    with transaction.atomic():
        # Models first, then the revision, as switches and syncs do: in another order they would dead-lock.
        rows = list(AIModel.objects.select_for_update().order_by("pk"))
        changed = [row for row in rows if _rebuild(row)]
        revision = publish(reason)
        for row in changed:
            row.revision, row.changed_at = revision.number, revision.at
        AIModel.objects.bulk_update(changed, [*_DERIVED, "revision", "changed_at"], batch_size=100)
    return Rebuilt(revision.number, len(rows), len(changed), sum(row.enabled for row in rows))


def _rebuild(row: AIModel) -> bool:
    version = SchemaVersion.objects.filter(model=row, number=row.schema_version).first()
    derived = derived_columns(row.category, row.metadata.get("kind"), mapped_of(version) if version else None)
    changed = False
    for column, value in derived.items():
        if getattr(row, column) != value:
            setattr(row, column, value)
            changed = True
    return availability.refresh(row) or changed
