"""What a process of the background worker has from the one that started it: shared with it, and left alone."""

import gc
from typing import Any


def register() -> None:
    """Has every process of the worker do this when it begins."""
    # Here, as the queue's models are there only once all apps are ready.
    from django_q.signals import post_spawn

    post_spawn.connect(leave_alone)


def leave_alone(**_: Any) -> None:
    """Has the garbage collector pass over all that is there by now, for as long as this process lives.

    A collection of the oldest objects writes into each of them. Those that came with the fork (all modules and models,
    some 45 MB) would be copied for this process alone by the first one, which comes once enough has been kept since.
    """
    gc.freeze()
