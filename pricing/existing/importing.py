"""Taking an existing collection in: its models stand in the catalog as they were, beside what is discovered."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from catalog.existing import Wanted, find_models, keep_models
from catalog.models import AIModel, Provider
from catalog.schemas.understanding import derived_columns
from catalog.sync_runs import ensure_providers
from genfeed.journal.audit import Actor, Change, record
from pricing.existing.kept_offers import kept_offer
from pricing.existing.rows import LegacyRow, same_provider_key
from pricing.models import ExistingModel
from pricing.selling.offers import begin, recompute

_KEYS_AT_MOST = 10_000
_COLUMNS = ("provider_name", "name", "category", "pricing", "enabled", "extra")


@dataclass
class ImportResult:
    """Legacy ids by what was (or, in a dry run, would be) done with them.

    `added`: rows that were not known; `joined`: models that a sync had found already, now kept as their owner has them;
    `unchanged`; `differing`: known ones that the file says otherwise of, id -> fields; `updated`: those of them that
    were brought to what the file says, which happens on request only.
    """

    added: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    differing: dict[str, list[str]] = field(default_factory=dict)
    updated: list[str] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        names = ("added", "joined", "unchanged", "differing", "updated")
        return {name: len(getattr(self, name)) for name in names}


def import_rows(
    rows: Iterable[LegacyRow], *, actor: Actor, update: bool = False, dry_run: bool = False
) -> ImportResult:
    """Imports checked rows, all or none. The same rows again change nothing.

    A row that is known already and that the file now says otherwise of is left alone, unless `update`: whoever gives
    the file is then the owner who changes it. `dry_run` writes nothing.
    """
    rows = list(rows)
    if dry_run:
        return _plan(rows, _providers(rows, create=False), update=update)[0]
    with _no_garbage_collection(), transaction.atomic():
        ensure_providers()
        providers = _providers(rows, create=True)
        result, new, changed = _plan(rows, providers, update=update)
        _write(new, changed, providers, actor)
    return result


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """All that an import makes is needed to its end: going through it again and again takes a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _plan(
    rows: list[LegacyRow], providers: dict[str, Provider], *, update: bool
) -> tuple[ImportResult, list[LegacyRow], list[tuple[LegacyRow, ExistingModel]]]:
    """What becomes of each row: the result, the rows to import, and those to update with what is known of them."""
    result = ImportResult()
    new: list[LegacyRow] = []
    changed: list[tuple[LegacyRow, ExistingModel]] = []
    known = find_models(_address(row, providers) for row in rows)
    keys = {row.pk for row in known.values()}
    existing = {row.model_id: row for row in ExistingModel.objects.select_related("model") if row.model_id in keys}
    for row in rows:
        model = known.get(_address(row, providers))
        before = existing.get(model.pk) if model else None
        result.lines[row.id] = row.line
        if before is None:
            (result.joined if model else result.added).append(row.id)
            new.append(row)
            continue
        differing = [name for name, value in _columns(row).items() if getattr(before, name) != value]
        if not differing:
            result.unchanged.append(row.id)
        elif update:
            result.updated.append(row.id)
            changed.append((row, before))
        else:
            result.differing[row.id] = differing
    return result, new, changed


def _write(
    new: list[LegacyRow],
    changed: list[tuple[LegacyRow, ExistingModel]],
    providers: dict[str, Provider],
    actor: Actor,
) -> None:
    rows = [*new, *(row for row, _ in changed)]
    if not rows:
        return
    reason = f"import of {len(rows)} existing model{'s' * (len(rows) > 1)} by {actor.name}"
    kept = keep_models([_wanted(row, providers) for row in rows], reason=reason)
    made = [
        ExistingModel(
            legacy_id=row.id,
            model=one.row,
            match=ExistingModel.Match.SAME if one.was_known else ExistingModel.Match.NONE,
            reason="The provider lists the same id." if one.was_known else "",
            **_columns(row),
        )
        for row, one in zip(new, kept, strict=False)
    ]
    ExistingModel.objects.bulk_create(made, batch_size=200)
    record(
        "existing.imported",
        [Change(row, one.before, one.after | {"pricing": row.pricing}) for row, one in zip(made, kept, strict=False)],
        actor=actor,
    )
    _update(changed, actor)
    begin((one.row for one in kept if not one.was_known), reason=reason)
    known = [one.row.pk for one in kept if one.was_known]
    # A query can name so many keys and no more; then all are computed.
    recompute(known if len(known) <= _KEYS_AT_MOST else None, reason=reason)


def _update(changed: list[tuple[LegacyRow, ExistingModel]], actor: Actor) -> None:
    changes = []
    for row, existing in changed:
        wanted = _columns(row)
        before = {name: getattr(existing, name) for name in _COLUMNS if getattr(existing, name) != wanted[name]}
        for name, value in wanted.items():
            setattr(existing, name, value)
        changes.append(Change(existing, before, {name: wanted[name] for name in before}))
    ExistingModel.objects.bulk_update([existing for _, existing in changed], _COLUMNS, batch_size=200)
    record("existing.updated", changes, actor=actor)


def _columns(row: LegacyRow) -> dict[str, Any]:
    return {
        "provider_name": row.provider,
        "name": row.name,
        "category": row.category,
        "pricing": row.pricing,
        "enabled": row.enabled,
        "extra": row.extra,
    }


def _wanted(row: LegacyRow, providers: dict[str, Provider]) -> Wanted:
    provider = providers[same_provider_key(row.provider)]
    return Wanted(provider, row.id, row.name, row.category, row.enabled, kept_offer(row.pricing))


def _address(row: LegacyRow, providers: dict[str, Provider]) -> tuple[int, str]:
    provider = providers.get(same_provider_key(row.provider))
    return (provider.pk or 0) if provider else 0, row.id


def _providers(rows: list[LegacyRow], *, create: bool) -> dict[str, Provider]:
    """The provider rows by what the spellings of one have in common; those that nobody knows are made."""
    known: dict[str, Provider] = {}
    for provider in Provider.objects.order_by("pk"):
        for spelling in (provider.name, provider.slug):
            known.setdefault(same_provider_key(spelling), provider)
    if create:
        for row in rows:
            key = same_provider_key(row.provider)
            if key not in known:
                known[key] = Provider.objects.create(slug=_free_slug(row.provider), name=row.provider)
    return known


def _free_slug(name: str) -> str:
    slug = slugify(name)[:45] or "provider"
    number, wanted = 1, slug
    while Provider.objects.filter(slug=wanted).exists():
        number += 1
        wanted = f"{slug}-{number}"
    return wanted


def planned_rows(rows: Iterable[LegacyRow]) -> list[ExistingModel]:
    """The rows of a file that are not imported yet as they would be, unsaved; for a dry run."""
    rows = list(rows)
    providers = _providers(rows, create=False)
    for row in rows:
        key = same_provider_key(row.provider)
        providers.setdefault(key, Provider(slug=slugify(row.provider)[:50], name=row.provider))
    known = find_models(_address(row, providers) for row in rows)
    taken = set(ExistingModel.objects.values_list("model_id", flat=True))
    planned = []
    for row in rows:
        model = known.get(_address(row, providers))
        if model is None:
            provider = providers[same_provider_key(row.provider)]
            model = AIModel(provider=provider, endpoint_id=row.id, **derived_columns(row.category, None, None))
        if model.pk not in taken:
            same = {"match": ExistingModel.Match.SAME} if discovered(model) else {}
            planned.append(ExistingModel(legacy_id=row.id, model=model, **_columns(row), **same))
    return planned


def discovered(model: AIModel) -> bool:
    """Whether its provider lists it: then the provider's own record is kept with it."""
    return bool(model.metadata)
