"""What a price sync did, for its report, its command and its alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pricing.prices.points import Outcome

_NAMED = 500


@dataclass
class PriceSyncResult:
    """Counts of models, and in words what went wrong.

    `without_price`: all that the price list does not know, asked for now or remembered. `error`: nothing was written,
    and why. `skipped`: there was no price list to ask, which is no fault. `unanswered`: models about which the provider
    gave no answer this time. `gone`: had a price and have none any more; the last known one stays. `refused`: rows that
    make no sense, each with the reason. `held`: now wait for a person, with the reason.
    """

    provider: str
    asked: int = 0
    without_price: int = 0
    unanswered: int = 0
    first: int = 0
    unchanged: int = 0
    kept: int = 0
    waiting: int = 0
    changed: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    texts: int = 0
    texts_problem: str = ""
    rules: dict[str, int] = field(default_factory=dict)
    offers: int = 0
    existing: int = 0
    skipped: str = ""
    error: str = ""
    seconds: float = 0.0

    @property
    def priced(self) -> int:
        """Models whose price was read and made sense."""
        return self.first + self.unchanged + self.kept + self.waiting + len(self.changed) + len(self.held)

    def count(self, outcomes: Mapping[str, Outcome]) -> None:
        """Adds what became of the prices that were read, by endpoint id."""
        for endpoint_id, outcome in outcomes.items():
            match outcome.kind:
                case "first":
                    self.first += 1
                case "unchanged":
                    self.unchanged += 1
                case "kept":
                    self.kept += 1
                case "waiting" | "rejected":
                    self.waiting += 1
                case "changed":
                    self.changed[endpoint_id] = outcome.why
                case "held":
                    self.held[endpoint_id] = outcome.why

    def as_report(self) -> dict[str, Any]:
        """The "prices" part of a SyncRun's report (JSON)."""
        return {
            "asked": self.asked,
            "priced": self.priced,
            "without_price": self.without_price,
            "unanswered": self.unanswered,
            "first": self.first,
            "unchanged": self.unchanged,
            "kept": self.kept,
            "waiting": self.waiting,
            "changed": _some(self.changed),
            "held": _some(self.held),
            "refused": _some(self.refused),
            "gone": self.gone[:_NAMED],
            "texts": self.texts,
            "texts_problem": self.texts_problem,
            "rules": self.rules,
            "offers": self.offers,
            "existing": self.existing,
            "skipped": self.skipped,
            "error": self.error,
            "seconds": self.seconds,
        }

    def summary(self) -> str:
        """One line for a terminal."""
        if self.error:
            return f"{self.provider}: prices failed after {self.seconds:.1f} s. {self.error}"
        said = f"Not asked for prices: {self.skipped} " if self.skipped else ""
        troubles = [
            words
            for words in (
                f"{self.unanswered} not answered" if self.unanswered else "",
                f"{len(self.refused)} refused" if self.refused else "",
                f"{len(self.gone)} gone" if self.gone else "",
                "texts not read" if self.texts_problem else "",
            )
            if words
        ]
        return (
            f"{self.provider}: {said}{self.priced} prices, {self.without_price} models without one, "
            f"{len(self.changed)} changed, {len(self.held)} held for a decision; "
            f"{self.texts} texts, {self.rules.get('active', 0)} rules made active, "
            f"{self.rules.get('proposed', 0)} proposed; {self.offers} selling prices changed"
            f"{''.join(', ' + words for words in troubles)} ({self.seconds:.1f} s)."
        )


def _some(found: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(found.items())[:_NAMED])
