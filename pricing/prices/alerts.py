"""Alerts about prices: one for each where they are few, one for all where a whole price list moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.urls import reverse

from catalog.models import AIModel, Provider
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.models import PricePoint

if TYPE_CHECKING:
    from pricing.prices.report import PriceSyncResult

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
                level=Alert.Level.WARNING, url=reverse("admin:pricing_pricepoint_change", args=[point.pk]),
            )  # fmt: skip


def _tell_all(code: str, words: str, said: Sequence[tuple[PricePoint, str]], models: dict[int, AIModel]) -> None:
    standing = PricePoint.Standing.HELD if code == "price_held" else PricePoint.Standing.CURRENT
    lines = [f"{models[point.model_id].endpoint_id}: {text}" for point, text in said[:_NAMED]]
    raise_alert(
        code, "many", f"{words.capitalize()} for {len(said)} models at once", "\n".join(lines),
        level=Alert.Level.CRITICAL,
        url=f"{reverse('admin:pricing_pricepoint_changelist')}?standing__exact={standing}",
    )  # fmt: skip


def resolve_held(points: Sequence[PricePoint]) -> None:
    """Closes the alerts of held prices that were decided or withdrawn."""
    models = AIModel.objects.select_related("provider").in_bulk([point.model_id for point in points])
    for model in models.values():
        resolve("price_held", _subject(model))
    if points and not PricePoint.objects.filter(standing=PricePoint.Standing.HELD).exists():
        resolve("price_held", "many")


def _subject(model: AIModel) -> str:
    return f"{model.provider.slug}:{model.endpoint_id}"


def tell_sync(provider: Provider, result: PriceSyncResult) -> None:
    """Raises or closes the alerts of a price sync as a whole: failed, incomplete, refused rows, texts to review."""
    said = {
        "price_sync_failed": (
            f"The prices of {provider.name} could not be read; the old ones stay" if result.error else "",
            result.error,
        ),
        "prices_unanswered": (
            f"{provider.name} gave no answer about the prices of {result.unanswered} models"
            if result.unanswered
            else "",
            "Their prices stay as they were; the next sync asks again.",
        ),
        "prices_refused": (
            f"{len(result.refused)} prices of {provider.name} make no sense and were refused" if result.refused else "",
            "\n".join(f"{one}: {why}" for one, why in sorted(result.refused.items())[:_NAMED]),
        ),
        "prices_gone": (
            f"{provider.name} has no price any more for {len(result.gone)} models" if result.gone else "",
            "The last known prices stay.\n" + "\n".join(result.gone[:_NAMED]),
        ),
        "price_texts_failed": (
            f"The price texts of {provider.name} could not be read" if result.texts_problem else "",
            result.texts_problem,
        ),
    }
    for code, (title, text) in said.items():
        if title:
            raise_alert(code, provider.slug, title, text, level=Alert.Level.WARNING)
        elif code != "prices_gone":
            # A price that is gone is not asked about again for a day; a person has to look.
            resolve(code, provider.slug)
    if result.rules.get("contradicting"):
        n = result.rules["contradicting"]
        raise_alert(
            "price_texts_contradict", provider.slug,
            f"{n} price text{'s' * (n > 1)} of {provider.name} contradict the price list",
            "The texts count. Look whether that is right.", level=Alert.Level.INFO,
            url=f"{reverse('admin:pricing_pricerule_changelist')}?contradicts_row__exact=1",
        )  # fmt: skip
    if result.rules.get("proposed"):
        n = result.rules["proposed"]
        raise_alert(
            "price_rules_proposed", provider.slug, f"{n} proposed price rule{'s' * (n > 1)} of {provider.name}",
            "Their texts were not understood completely. Correct and activate them, or retire them.",
            level=Alert.Level.INFO, url=f"{reverse('admin:pricing_pricerule_changelist')}?state__exact=proposed",
        )  # fmt: skip
