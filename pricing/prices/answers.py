"""What a provider answered when it was asked for prices, and whether that can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from catalog.providers.base import PriceRow, ProviderBadAnswerError

# A price list that lost more than this share of the prices that it had is taken for a fault, not for news.
PLAUSIBLE_SHARE = 0.5
# Of fewer models, all may well be without a price.
FEW = 10


@dataclass
class Answers:
    """Ids that were asked for and the rows that came; a row that can't be used is an answer too."""

    asked: set[str] = field(default_factory=set)
    rows: dict[str, PriceRow] = field(default_factory=dict)

    def take(self, asked: Iterable[str], rows: Mapping[str, PriceRow]) -> None:
        """Adds what one question brought."""
        self.asked |= set(asked)
        self.rows |= rows

    @property
    def unanswered(self) -> set[str]:
        return {one for one in self.asked if one in self.rows and not self.rows[one].answered}

    @property
    def with_row(self) -> set[str]:
        return {one for one in self.asked if one in self.rows and self.rows[one].answered}

    @property
    def without_price(self) -> set[str]:
        return self.asked - self.rows.keys()


def check_plausible(name: str, priced: set[str], answers: Answers) -> None:
    """Raises ProviderBadAnswerError where the price list is empty, or lost most of the prices that it had."""
    asked = answers.asked - answers.unanswered
    if not asked:
        return
    usable = {one for one in answers.with_row if answers.rows[one].unit_price is not None}
    if not usable and len(asked) >= FEW:
        raise ProviderBadAnswerError(
            f"{name} has no usable price for any of {len(asked)} models. That is taken for a fault of the provider's."
        )
    before, lost = priced & asked, priced & answers.without_price
    if len(before) >= FEW and len(lost) > len(before) * PLAUSIBLE_SHARE:
        raise ProviderBadAnswerError(
            f"{name} has lost the prices of {len(lost)} of {len(before)} models since the last sync. That is taken for "
            "a fault of the provider's; the prices known so far stay."
        )
