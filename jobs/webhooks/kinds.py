"""The events that clients can be told of."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

KINDS = {
    "job.queued": "A job was accepted.",
    "job.started": "The provider began to work on it.",
    "job.succeeded": "It is done, and its output is there.",
    "job.failed": "It came to nothing; the error says why.",
    "job.canceled": "It was canceled.",
    "batch.created": "The first items of a batch were accepted.",
    "batch.completed": "Every item of a batch has ended.",
    "batch.canceled": "A batch was canceled, and every item of it has ended.",
    "workflow.created": "A workflow was accepted.",
    "workflow.succeeded": "Every step of a workflow is done.",
    "workflow.failed": "Every step of a workflow has ended, and one that mattered failed.",
    "workflow.canceled": "A workflow was canceled, and everything of it has ended.",
    "balance.low": "The balance fell below the threshold of the account.",
    "budget.threshold_reached": "So many percent of a budget are spent.",
    "api_key.rotation_due": "A key is old and should be rotated.",
    "model.added": "A model can be used that could not be before.",
    "model.changed": "A model has a new version of its schema.",
    "model.schema_breaking": "That version breaks callers of the one before.",
    "model.price_changed": "A model costs something else than before.",
    "model.retired": "A model is gone.",
}
# To the webhook_url of a single job go only its own.
OF_A_JOB = frozenset({"job.started", "job.succeeded", "job.failed", "job.canceled"})
# And to that of a batch, those that end it.
OF_A_BATCH = frozenset({"batch.completed", "batch.canceled"})
# And to that of a workflow.
OF_A_WORKFLOW = frozenset({"workflow.succeeded", "workflow.failed", "workflow.canceled"})
# All that go to a webhook_url.
TO_OWN_URL = OF_A_JOB | OF_A_BATCH | OF_A_WORKFLOW
TEST = "webhook.test"
FAMILIES = sorted({kind.partition(".")[0] for kind in KINDS})


class UnknownEventError(ValueError):
    """A name that is no event; the message says which, and the nearest that is one."""


def check_events(names: Iterable[str]) -> list[str]:
    """The names without repetition, each an event, `family.*` or `*`. Raises UnknownEventError."""
    known = [*KINDS, *(f"{family}.*" for family in FAMILIES), "*"]
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise UnknownEventError(
                f"There is no event {name[:60]!r}" + (f"; did you mean {near[0]}?" if near else ".")
            )
    return chosen


def is_chosen(kind: str, events: Collection[str]) -> bool:
    """Whether an endpoint with these events is told of this kind."""
    return kind in events or f"{kind.partition('.')[0]}.*" in events or ("*" in events and kind in KINDS)
