"""What a provider answers that tells its models and no more: nothing, and nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from catalog.providers.base import (
    AccountBalance,
    BillingPage,
    NotOfferedError,
    PriceRow,
    PriceText,
    ProviderNotConfiguredError,
)


class PlainProvider:
    """The questions of `ProviderInterface` that many providers have no answer to; override those that yours answers."""

    name = ""

    def fetch_prices(
        self, endpoint_ids: Sequence[str], *, apart: bool = False, progress: Callable[[int], None] | None = None
    ) -> dict[str, PriceRow]:
        raise NotOfferedError(f"{self.name} publishes no prices.")

    def fetch_price_texts(self) -> Iterator[PriceText]:
        raise NotOfferedError(f"{self.name} publishes no price texts.")

    def fetch_price_text(self, endpoint_id: str) -> PriceText | None:
        raise NotOfferedError(f"{self.name} publishes no price texts.")

    def historical_cost(self, endpoint_id: str, calls: int) -> Decimal | None:
        raise NotOfferedError(f"{self.name} tells no past costs.")

    def can_read_bills(self) -> bool:
        return False

    def billing_events(self, start: datetime, end: datetime) -> Iterator[BillingPage]:
        raise ProviderNotConfiguredError(f"{self.name} shows no bills.")

    def account_balance(self) -> AccountBalance:
        raise NotOfferedError(f"{self.name} does not tell what is left of the credit.")

    def close(self) -> None:
        """Nothing is held open."""
