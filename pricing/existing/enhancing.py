"""Enhancing the existing collection: what is new at the provider comes in beside it, its cost is put beside its price.

No field, price or switch of an existing model is altered here; `adopting` does that, and only when its owner asks.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction

from genfeed.journal.audit import Actor
from pricing.existing import duplicates, newcomers
from pricing.existing.costs import save_standing, set_costs
from pricing.existing.importing import ImportResult, discovered, import_rows, planned_rows
from pricing.existing.likeness import Candidate, Likeness
from pricing.existing.rows import BadRow, LegacyRow
from pricing.models import ExistingModel

Match = ExistingModel.Match
# Keys of rows of a file that are not known yet: below any that a database gives, and below those of newcomers.
_PLANNED_KEYS = -1_000_000


@dataclass
class EnhancementResult:
    """What an enhancement did, or in a dry run would do.

    `added`: models that are new in the collection, from the file or from the provider. `updated`: existing models of
    which something new is known (a counterpart, another cost). `skipped`: those with nothing new. `duplicates`: those
    that the catalog has too, under the same id or seemingly under another. `errors`: what could not be done.
    `pricing_synced`: existing models whose cost was put beside anew. `details`: entries of `action`, `provider`, `id`
    and `why`.
    """

    added: int = 0
    updated: int = 0
    skipped: int = 0
    duplicates: int = 0
    errors: int = 0
    pricing_synced: int = 0
    details: list[dict[str, str]] = field(default_factory=list)

    def tell(self, action: str, provider: str, id: str, why: str) -> None:
        self.details.append({"action": action, "provider": provider, "id": id, "why": why})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def enhance(
    *,
    actor: Actor,
    dry_run: bool = False,
    pricing_only: bool = False,
    discover: bool = True,
    rows: Iterable[LegacyRow] = (),
    bad_rows: Iterable[BadRow] = (),
    on_progress: Callable[[str, int, int], None] | None = None,
) -> EnhancementResult:
    """Enhances the whole existing collection; a second run changes nothing.

    `rows`: checked rows of a file, imported first; `bad_rows` are told as errors. `discover`: ask the providers for new
    models and for prices, else work with what is known. `pricing_only`: costs alone, neither new models nor a search
    for duplicates. `dry_run`: the same counts, nothing written; prices are then those known already.
    """
    result = EnhancementResult()
    for bad in bad_rows:
        result.tell("error", "", bad.id, str(bad))
    rows = list(rows)
    if rows:
        _tell_import(result, rows, import_rows(rows, actor=actor, dry_run=dry_run))
    planned = planned_rows(rows) if dry_run else []
    # A price sync puts costs beside too: what it changes belongs to what this run is asked for.
    costs_before = dict(ExistingModel.objects.values_list("pk", "provider_cost"))
    listed: list[Candidate] = []
    if discover:
        listed = newcomers.look(
            result.tell,
            actor=actor,
            dry_run=dry_run,
            pricing_only=pricing_only,
            planned={(row.model.provider.slug, row.legacy_id) for row in planned},
            on_progress=on_progress,
        )
    with transaction.atomic():
        existing = [*_load(), *planned]
        updated = _update(existing, listed, costs_before, result)
        if not dry_run:
            save_standing(updated)
        if not pricing_only:
            found = duplicates.refresh_suggestions(more=_candidates(planned, listed), dry_run=dry_run)
            _tell_duplicates(result, existing, found.standing)
    result.added = sum(entry["action"] == "added" for entry in result.details)
    result.errors = sum(entry["action"] == "error" for entry in result.details)
    return result


def _load() -> list[ExistingModel]:
    rows = ExistingModel.objects.select_for_update(of=("self",)).select_related("model__provider", "counterpart")
    return list(rows.order_by("pk"))


def _tell_import(result: EnhancementResult, rows: list[LegacyRow], imported: ImportResult) -> None:
    added = set(imported.added)
    for row in rows:
        if row.id in added:
            result.tell("added", row.provider, row.id, f"imported from line {row.line}")
        elif row.id in imported.differing:
            fields = ", ".join(imported.differing[row.id])
            result.tell("kept", row.provider, row.id, f"the file says otherwise of {fields}; kept as it was")


def _update(
    existing: list[ExistingModel],
    listed: list[Candidate],
    costs_before: dict[int, dict[str, str]],
    result: EnhancementResult,
) -> list[ExistingModel]:
    """Brings match and cost of the instances up to date and tells what this run changed; returns those to be saved."""
    addresses = {(model.provider, model.endpoint_id) for model in listed}
    matched = {id(row) for row in existing if _match(row, addresses)}
    unwritten = matched | {id(row) for row in set_costs(existing)}
    for row in existing:
        before = costs_before.get(row.pk, {})
        is_priced = row.provider_cost != before
        if not is_priced and id(row) not in matched:
            result.skipped += 1
            result.tell("skipped", row.provider_name, row.legacy_id, _why_skipped(row))
            continue
        why = [row.reason] if id(row) in matched else []
        if is_priced:
            result.pricing_synced += 1
            why.append(f"cost put beside: {_words(row.provider_cost)}, before {_words(before)}")
        result.updated += 1
        result.tell("updated", row.provider_name, row.legacy_id, " ".join(why))
    return [row for row in existing if id(row) in unwritten]


def _match(row: ExistingModel, listed: set[tuple[str, str]]) -> bool:
    """Marks a row whose provider lists the same id; the counterpart that a person confirmed is then not needed."""
    is_listed = discovered(row.model) or (row.model.provider.slug, row.legacy_id) in listed
    if not is_listed or row.match == Match.SAME:
        return False
    row.match, row.counterpart, row.reason = Match.SAME, None, "The provider lists the same id."
    return True


def _words(prices: dict[str, str]) -> str:
    return ", ".join(f"{name} {price} USD" for name, price in prices.items()) or "unknown"


def _why_skipped(row: ExistingModel) -> str:
    if row.match == Match.NONE:
        return "no provider lists this id, and no counterpart is confirmed"
    return "its cost is as before" if row.provider_cost else "its cost is not known yet"


def _candidates(planned: list[ExistingModel], listed: list[Candidate]) -> list[Candidate]:
    """What is only listed or only in the file, as it would be compared once it is here."""
    found = {(model.provider, model.endpoint_id): model for model in listed}
    for number, row in enumerate(planned):
        address = (row.model.provider.slug, row.legacy_id)
        same = found.get(address)
        category = row.category or row.model.category or (same.category if same else "")
        found[address] = Candidate(
            pk=row.model.pk or _PLANNED_KEYS - number,
            provider=row.model.provider.slug,
            endpoint_id=row.legacy_id,
            name=row.name,
            category=category,
            media_type=same.media_type if same else row.model.media_type,
            is_existing=same is None and not discovered(row.model),
        )
    return list(found.values())


def _tell_duplicates(result: EnhancementResult, existing: list[ExistingModel], pairs: list[Likeness]) -> None:
    """Tells every existing model that the catalog has too, and the pairs within the catalog as `equivalent`."""
    found = {(row.model.provider.slug, row.legacy_id) for row in existing if row.match == Match.SAME}
    for provider, id in sorted(found):
        result.tell("duplicate", provider, id, "The provider lists the same id; one row stands for both.")
    for pair in pairs:
        one, other = (pair.right, pair.left) if pair.right.is_existing else (pair.left, pair.right)
        action = "duplicate" if one.is_existing else "equivalent"
        if one.is_existing:
            found.add((one.provider, one.endpoint_id))
        why = f"seems to be {other.provider}:{other.endpoint_id} (score {pair.score}): {pair.reason}"
        result.tell(action, one.provider, one.endpoint_id, why)
    result.duplicates = len(found)
