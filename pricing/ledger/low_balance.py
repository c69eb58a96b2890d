"""The notice that a balance runs low: once for every time it falls below its threshold."""

from __future__ import annotations

from django.utils import timezone

from genfeed.journal.models import OutboxEvent
from pricing import sql
from pricing.models import Account
from pricing.money import format_usd

_TELL = """
UPDATE pricing_account SET low_balance_told_at = %s
WHERE id = %s AND low_balance > available AND low_balance_told_at IS NULL
"""


def tell_low_balance(account_id: int) -> bool:
    """Writes the notice for the client in the caller's transaction, where `available` is below the threshold."""
    if not sql.changed(_TELL, timezone.now(), account_id):
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
