"""What people are told: bills that can't be right, of nobody, or missing; estimates that drift; credit that ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Sum

from catalog.availability import stop_selling
from catalog.models import Provider
from catalog.providers.base import AccountBalance
from genfeed.journal import links
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.models import Bill, UsageRecord
from pricing.money import format_decimal, format_usd
from pricing.reconciling.accuracy import Accuracy, drifting, missing_bills, settled_as_billed

State = Bill.State


def page_url() -> str:
    """The page Reconciliation."""
    return links.to_page("pricing_reconciliation")


def tell_anomaly(bill: Bill, usage: UsageRecord) -> None:
    """A bill that can't be right; where it is the second in a row for its model, the model is not sold any more."""
    subject = f"{usage.model.provider.slug}:{usage.model.endpoint_id}"
    is_second = _beside_another(bill)
    if is_second:
        stop_selling(usage.model_id, reason="bill_anomaly", why=f"two bills in a row: {bill.words}"[:500])
    raise_alert(
        "bill_anomaly",
        subject,
        f"{usage.model.name}: a bill that can't be right waits for a decision",
        f"{usage.job}: {bill.words}. Nothing was corrected; the client pays what was settled."
        + (" It is the second in a row: the model is not sold until a person switches it on." if is_second else ""),
        level=Alert.Level.CRITICAL if is_second else Alert.Level.WARNING,
        url=f"{links.to_page('pricing_bill_changelist')}?state__exact={State.QUARANTINED}",
    )


# Jobs put the end of a wait of their own here: the floor above, which this one does not know.
bill_counts: Callable[[str], None] = lambda job: None  # noqa: E731 - a default that does nothing


def close_anomaly(bill: Bill) -> None:
    """The bill counts: its job waits for nothing more. Closes the alert once no bill of the model waits either."""
    if bill.usage:
        bill_counts(bill.usage.job)
    model = bill.model
    if model and not Bill.objects.filter(model=model, state=State.QUARANTINED).exists():
        resolve("bill_anomaly", f"{model.provider.slug}:{model.endpoint_id}")


def _beside_another(bill: Bill) -> bool:
    """Whether the bill just before or just after, of the same model, waits too."""
    others = Bill.objects.filter(model_id=bill.model_id).exclude(pk=bill.pk)
    before = others.filter(at__lte=bill.at).order_by("-at", "-pk").first()
    after = others.filter(at__gt=bill.at).order_by("at", "pk").first()
    return any(one is not None and one.state == State.QUARANTINED for one in (before, after))


def tell_orphans(provider: Provider, keys: set[int]) -> None:
    """Bills that have become a day old without a job: told once, with their sum."""
    found = Bill.objects.filter(pk__in=keys).aggregate(n=Count("pk"), total=Sum("total"))
    if found["n"]:
        raise_alert(
            "bills_without_job",
            provider.slug,
            f"{provider.name} billed {format_usd(found['total'])} USD for {_count(found['n'], 'request')} of no job",
            "The key was used by something else, or a submission that looked lost was accepted. The bills are listed.",
            url=f"{links.to_page('pricing_bill_changelist')}?state__exact={State.ORPHAN}",
        )


def tell_unreadable(provider: Provider, problems: list[str]) -> None:
    """Lines of the bill that could not be read."""
    if not problems:
        resolve("bills_unreadable", provider.slug)
        return
    raise_alert(
        "bills_unreadable",
        provider.slug,
        f"{_count(len(problems), 'line')} of the bill of {provider.name} can't be read",
        "\n".join(problems[:50]) + "\nThey are booked nowhere. Compare them with the provider's own page.",
        level=Alert.Level.CRITICAL,
        url=page_url(),
    )


def tell_daily(provider: Provider, *, now: datetime) -> None:
    """What is looked at once a day: jobs that were never billed, settlements and estimates that are not the bills'."""
    missing = missing_bills(provider, now=now)
    if missing.count:
        raise_alert(
            "jobs_without_bill",
            provider.slug,
            f"{_count(missing.count, 'job')} without a bill of {provider.name} after two days",
            f"{format_usd(missing.cost)} USD. They were settled by billed units or an estimate: "
            + ", ".join(missing.jobs),
            url=page_url(),
        )
    else:
        resolve("jobs_without_bill", provider.slug)
    _tell_settled(provider, since=now - timedelta(days=30))
    known = set(
        Alert.objects.filter(code="price_drift", resolved_at=None, subject__startswith=f"{provider.slug}:")
        .values_list("subject", flat=True)
    )  # fmt: skip
    for one in drifting(provider, since=now - timedelta(days=30)):
        known.discard(_drift_subject(provider, one))
        raise_alert(
            "price_drift",
            _drift_subject(provider, one),
            f"{one.name or 'All models'}: estimates are {one.percent(one.mean_ppm)} % off the bills",
            f"Over {one.count} jobs of the last 30 days; {one.percent(one.signed_ppm)} % in one direction. Look at the "
            "price rule and the price of the model.",
            url=links.to_page("pricing_model_price", one.model_id) if one.model_id else page_url(),
        )
    for subject in known:
        resolve("price_drift", subject)


def _tell_settled(provider: Provider, *, since: datetime) -> None:
    found = settled_as_billed(provider, since=since)
    if not found.is_short:
        resolve("settled_not_as_billed", provider.slug)
        return
    raise_alert(
        "settled_not_as_billed",
        provider.slug,
        f"{found.jobs - found.as_billed} of {found.jobs} jobs were not settled as {provider.name} billed them",
        "More than one in a thousand of the last 30 days. The books have been brought to the bills; look at the models "
        "whose bills are corrected, at their price rules and billed units.",
        url=page_url(),
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"


def _drift_subject(provider: Provider, one: Accuracy) -> str:
    return f"{provider.slug}:{one.endpoint_id or 'all models'}"


def tell_credit(provider: Provider, left: AccountBalance) -> None:
    """Credit at the provider that runs low; below its threshold the provider locks the account."""
    if left.balance >= Decimal(settings.PROVIDER_CREDIT_LOW):
        resolve("provider_credit_low", provider.slug)
        return
    raise_alert(
        "provider_credit_low",
        provider.slug,
        f"{format_decimal(left.balance)} {left.currency} of credit are left at {provider.name}",
        "Top it up: an account without credit is locked, and then every job fails. The notice comes below "
        f"{settings.PROVIDER_CREDIT_LOW} {left.currency} (setting PROVIDER_CREDIT_LOW).",
        level=Alert.Level.CRITICAL,
        url=page_url(),
    )
