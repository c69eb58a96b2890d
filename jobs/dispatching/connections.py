"""The connections of a dispatcher to providers: one for each key, never one for two.

Used by the dispatcher's loop alone. Those of keys that no call uses are closed when there are too many.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from catalog.providers import queue
from catalog.providers.queue import QueueInterface
from jobs.models import Job
from jobs.testmode.running import open_for, with_model

# Connections of clients' own keys that are kept open although no call uses them.
IDLE_AT_MOST = 32


@dataclass(slots=True)
class _Open:
    provider: QueueInterface
    users: int = 0


class Connections:
    """Open connections by provider and key."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str], _Open] = OrderedDict()

    def prepare(self) -> None:
        """Opens those of the installation's own keys."""
        for slug in queue.runnable():
            if (slug, "") not in self._open:
                self._open[slug, ""] = _Open(queue.open_queue(slug))

    def take(self, job: Job) -> QueueInterface:
        """The connection for a call about the job; `give_back` must follow. Raises KeyRefusedError."""
        name = (job.provider, job.account)
        if name not in self._open:
            self._open[name] = _Open(open_for(job))
        self._open.move_to_end(name)
        self._open[name].users += 1
        self._close_idle()
        return with_model(self._open[name].provider, job)

    def give_back(self, job: Job) -> None:
        """Says that a call is over."""
        self._open[job.provider, job.account].users -= 1

    def close(self) -> None:
        """Closes all of them."""
        for one in self._open.values():
            one.provider.close()
        self._open.clear()

    def _close_idle(self) -> None:
        idle = [name for name, one in self._open.items() if name[1] and not one.users]
        for name in idle[: max(0, len(idle) - IDLE_AT_MOST)]:
            self._open.pop(name).provider.close()
