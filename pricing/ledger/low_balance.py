"""The notice that a balance runs low: once for every time it falls below its threshold."""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone

from genfeed.journal.models import OutboxEvent
from pricing.models import Account
from pricing.money import format_usd


def tell_low_balance(account_id: int) -> bool:
    """Writes the notice for the client in the caller's transaction, where `available` is below the threshold."""
    fallen = Account.objects.filter(pk=account_id, low_balance__gt=F("available"), low_balance_told_at=None)
    if not fallen.update(low_balance_told_at=timezone.now()):
        return False
    account = Account.objects.get(pk=account_id)
    assert account.low_balance is not None  # noqa: S101 - the condition above
    OutboxEvent.objects.create(
        kind="balance.low",
        subject=f"client:{account.client_id}",
        client_id=account.client_id,
        payload={
            "available": format_usd(account.available),
            "held": format_usd(account.held),
            "threshold": format_usd(account.low_balance),
            "currency": "USD",
        },
    )
    return True
