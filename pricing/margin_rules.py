"""Making and ending margin rules: checked, audited, and every selling price brought up to date in one transaction."""

from dataclasses import dataclass
from datetime import datetime

from genfeed.journal.audit import Actor
from pricing.margin_book import Applied, RuleBook, load_book
from pricing.models import MarginRule

__all__ = ["Applied", "Draft", "RuleBook", "apply_clock", "end_rule", "load_book", "save_rule"]


@dataclass(frozen=True)
class Draft:
    """A margin rule that somebody wants: amounts in nano-USD, `rate` as an exact decimal string."""

    scope: str
    mode: str = "margin"
    rate: str = "0"
    fixed_price: int = 0
    fee: int = 0
    minimum: int = 0
    client_id: int | None = None
    model_id: int | None = None
    category: str = ""
    provider_id: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    note: str = ""


def save_rule(draft: Draft, *, actor: Actor, reason: str = "") -> MarginRule:
    """Adds a rule; raises BadMargin, changing nothing, for one that makes no sense."""
    raise NotImplementedError


def end_rule(rule: MarginRule, *, actor: Actor, reason: str = "") -> bool:
    """Ends a rule now; False where it had ended."""
    raise NotImplementedError


def apply_clock(now: datetime | None = None) -> int:
    """Publishes what rules that have started or ended since the last call change."""
    raise NotImplementedError
