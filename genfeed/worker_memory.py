"""Memory of the background worker's processes: what each has from the one that started it stays shared with it, and
what a task took is given back when it ends."""

import gc
from typing import Any

from genfeed import heaps


def register() -> None:
    """Has every process of the worker do this when it begins, and when a task has ended."""
    # Here, as the queue's models are there only once all apps are ready.
    from django_q.signals import post_execute_in_worker, post_spawn

    post_spawn.connect(leave_alone)
    post_execute_in_worker.connect(give_back)


def leave_alone(**_: Any) -> None:
    """Has the garbage collector pass over all that is there by now, for as long as this process lives.

    A collection of the oldest objects writes into each of them. Those that came with the fork (all modules and models,
    some 45 MB) would be copied for this process alone by the first one, which comes once enough has been kept since.
    """
    gc.freeze()


def give_back(**_: Any) -> None:
    """What a sync or a report took for a moment is not kept for good."""
    heaps.give_back()
