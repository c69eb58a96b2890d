"""Alerts about a price sync as a whole: raised with what it found, closed when that is gone."""

from __future__ import annotations

from catalog.models import Provider
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.prices.alerts import resolve_gone
from pricing.prices.report import PriceSyncResult
from pricing.rules.alerts import tell_rules

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
            resolve(code, provider.slug)
    # A price that was gone before is not news to this sync, and may be missing all the same.
    resolve_gone([provider.pk])
    tell_rules(
        provider,
        proposed=result.rules.get("proposed", 0),
        contradicting=result.rules.get("contradicting", 0),
    )
