"""Alerts about a price sync as a whole: raised with what it found, closed when that is gone."""

from __future__ import annotations

from django.urls import reverse

from catalog.models import Provider
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.prices.report import PriceSyncResult

_NAMED = 100


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
