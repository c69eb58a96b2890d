"""Alerts about price texts that wait for a look: raised by syncs, closed as soon as no rule is left that waits."""

from __future__ import annotations

from django.db.models import QuerySet

from catalog.models import AIModel, Provider
from genfeed.journal import links
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.models import PriceRule

PROPOSED, CONTRADICTING = "price_rules_proposed", "price_texts_contradict"


def tell_rules(provider: Provider, *, proposed: int, contradicting: int) -> None:
    """Raises the alerts of rules that a sync has proposed, or made against the price row; closes what has ended."""
    rules = links.to_page("pricing_pricerule_changelist")
    if contradicting:
        raise_alert(
            CONTRADICTING, provider.slug,
            f"{contradicting} price text{'s' * (contradicting > 1)} of {provider.name} contradict the price list",
            "The texts count. Look whether that is right.", level=Alert.Level.INFO,
            url=f"{rules}?contradicts_row__exact=1",
        )  # fmt: skip
    if proposed:
        raise_alert(
            PROPOSED, provider.slug, f"{proposed} proposed price rule{'s' * (proposed > 1)} of {provider.name}",
            "Their texts were not understood completely. Correct and activate them, or retire them.",
            level=Alert.Level.INFO, url=f"{rules}?state__exact=proposed",
        )  # fmt: skip
    resolve_settled()


def resolve_settled() -> None:
    """Closes the open alerts of providers of whose models no rule is proposed, or contradicts a row, any more."""
    for code in (PROPOSED, CONTRADICTING):
        for slug in Alert.objects.filter(code=code, resolved_at=None).values_list("subject", flat=True):
            if not _waiting(code).filter(model__provider__slug=slug).exists():
                resolve(code, slug)


def _waiting(code: str) -> QuerySet[PriceRule]:
    rules = PriceRule.objects.exclude(model__status=AIModel.Status.RETIRED)
    if code == PROPOSED:
        return rules.filter(state=PriceRule.State.PROPOSED)
    return rules.filter(contradicts_row=True).exclude(state=PriceRule.State.RETIRED)
