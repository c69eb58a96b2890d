"""Alerts about prices: one for each where they are few, one for all where a whole price list moved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from catalog.models import AIModel, Provider
from genfeed.journal import links
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.models import PricePoint

# More than this at once is one event, and a hundred alerts would hide it.
FEW = 20
_NAMED = 100


def tell(*, held: Sequence[PricePoint], changed: Sequence[tuple[PricePoint, PricePoint]]) -> None:
    """Raises the alerts of prices that were held now, and of large changes that were taken over (old, new)."""
    models = AIModel.objects.select_related("provider").in_bulk(
        [point.model_id for point in held] + [new.model_id for _, new in changed]
    )
    sentences = {
        "price_held": [(point, f"{point.unit_price} {point.currency} per {point.unit}: {point.why}") for point in held],
        "price_changed": [
            (new, f"{old.unit_price} → {new.unit_price} {new.currency} per {new.unit} ({new.change_percent:+.1f} %)")
            for old, new in changed
        ],
    }
    words = {"price_held": "price waits for approval", "price_changed": "large change of price"}
    for code, said in sentences.items():
        if len(said) > FEW:
            _tell_all(code, words[code], said, models)
            continue
        for point, text in said:
            model = models[point.model_id]
            raise_alert(
                code, _subject(model), f"{model.name}: {words[code]}", text,
                level=Alert.Level.WARNING, url=links.to_page("pricing_pricepoint_change", point.pk),
            )  # fmt: skip


def _tell_all(code: str, words: str, said: Sequence[tuple[PricePoint, str]], models: dict[int, AIModel]) -> None:
    standing = PricePoint.Standing.HELD if code == "price_held" else PricePoint.Standing.CURRENT
    lines = [f"{models[point.model_id].endpoint_id}: {text}" for point, text in said[:_NAMED]]
    raise_alert(
        code, "many", f"{words.capitalize()} for {len(said)} models at once", "\n".join(lines),
        level=Alert.Level.CRITICAL,
        url=f"{links.to_page('pricing_pricepoint_changelist')}?standing__exact={standing}",
    )  # fmt: skip


def resolve_held(points: Sequence[PricePoint]) -> None:
    """Closes the alerts of held prices that were decided or withdrawn."""
    models = AIModel.objects.select_related("provider").in_bulk([point.model_id for point in points])
    for model in models.values():
        resolve("price_held", _subject(model))
    if points and not PricePoint.objects.filter(standing=PricePoint.Standing.HELD).exists():
        resolve("price_held", "many")


def resolve_gone(provider_ids: Iterable[int]) -> None:
    """Closes the alert of prices that are gone for each provider that has all of them again, or others by hand."""
    for provider in Provider.objects.filter(pk__in=list(provider_ids)):
        gone = PricePoint.objects.filter(
            standing=PricePoint.Standing.CURRENT,
            source=PricePoint.Source.ADVERTISED,
            model__provider=provider,
            model__pricing__has_row=False,
        )
        if not gone.exclude(model__status=AIModel.Status.RETIRED).exists():
            resolve("prices_gone", provider.slug)


def _subject(model: AIModel) -> str:
    return f"{model.provider.slug}:{model.endpoint_id}"
