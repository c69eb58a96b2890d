"""Files that clients name by their addresses, fetched beside those of jobs, but by some of the threads alone.

Whoever names a host may own it, and have it drip bytes for as long as a download may take.
"""

from __future__ import annotations

from collections import Counter

from jobs.assets.models import Asset

# In SQL, as `is_brought`.
BROUGHT = "(job_id IS NULL AND source_url <> '')"


def is_brought(asset: Asset) -> bool:
    """Whether a client named the file by its address."""
    return asset.job_id is None and bool(asset.source_url)


class Bringing:
    """Which clients' files are on their way in one process: by half of its threads, a quarter for one client."""

    def __init__(self, threads: int) -> None:
        self._most = max(1, threads // 2)
        self._most_of_one = max(1, threads // 4)
        self._of: Counter[int] = Counter()

    @property
    def is_full(self) -> bool:
        """Whether nobody's file may be begun now."""
        return self._of.total() >= self._most

    @property
    def full(self) -> list[int]:
        """The clients of whom no further file may be begun now."""
        return [client_id for client_id, running in self._of.items() if running >= self._most_of_one]

    def begin(self, client_id: int) -> bool:
        """Takes a place for a file; False where there is none."""
        if self.is_full or self._of[client_id] >= self._most_of_one:
            return False
        self._of[client_id] += 1
        return True

    def end(self, client_id: int) -> None:
        """Gives the place of a file back."""
        self._of[client_id] -= 1
        if not self._of[client_id]:
            del self._of[client_id]
