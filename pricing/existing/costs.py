"""The provider's cost beside the existing price, and the difference told; the price itself is never touched (D8)."""

from django.db import transaction
from django.utils import timezone

from pricing.models import ExistingModel, ModelPricing

Match = ExistingModel.Match
_IDS_A_QUERY = 1000


def sync_existing_pricing(provider: str) -> int:
    """Puts the present cost beside each existing model of a provider; returns for how many it was another.

    Call it after a price sync. Selling prices and switches stay as they are.
    """
    with transaction.atomic():
        rows = ExistingModel.objects.select_for_update().filter(model__provider__slug=provider).order_by("pk")
        changed = set_costs(list(rows))
        save_standing(changed)
    return len(changed)


def set_costs(rows: list[ExistingModel]) -> list[ExistingModel]:
    """Sets `provider_cost` on the instances: the provider's cost of the model, or of its confirmed counterpart, in the
    legacy shape (exact decimal texts, USD), empty where none is known. Returns those for which it was another.
    """
    sources = [cost_source(row) for row in rows]
    costs = _costs({key for key in sources if key is not None})
    changed = []
    for row, key in zip(rows, sources, strict=True):
        cost = costs.get(key, {}) if key is not None else {}
        if row.provider_cost != cost:
            row.provider_cost = cost
            changed.append(row)
    return changed


def cost_source(row: ExistingModel) -> int | None:
    """The key of the catalog's model whose cost is the existing one's; None where there is none for certain."""
    if row.match == Match.SAME:
        return row.model_id
    return row.counterpart_id if row.match == Match.EQUIVALENT else None


def save_standing(rows: list[ExistingModel]) -> None:
    """Writes what enhancing may write of an existing model, and nothing else of it."""
    now = timezone.now()
    for row in rows:
        row.enhanced_at = now
    ExistingModel.objects.bulk_update(
        rows, ["match", "counterpart", "reason", "provider_cost", "enhanced_at"], batch_size=200
    )


def _costs(keys: set[int]) -> dict[int, dict[str, str]]:
    ordered = sorted(keys)
    found: dict[int, dict[str, str]] = {}
    for start in range(0, len(ordered), _IDS_A_QUERY):
        rows = ModelPricing.objects.filter(model__in=ordered[start : start + _IDS_A_QUERY])
        found |= {key: standing.get("legacy", {}) for key, standing in rows.values_list("model_id", "standing")}
    return found
