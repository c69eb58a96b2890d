"""Items of a batch on their way to becoming jobs."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.accepting.accept import Prepared
from jobs.accepting.stored_results import share_of
from jobs.models import Job


@dataclass(frozen=True, slots=True)
class Ready:
    """An item that can be accepted; `stored` is the job whose result answers it."""

    index: int
    prepared: Prepared
    stored: Job | None

    @property
    def needs(self) -> int:
        """nano-USD that must be there for it."""
        return share_of(self.prepared.quote.price) if self.stored else self.prepared.hold
