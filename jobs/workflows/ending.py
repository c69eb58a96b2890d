"""What is told of a workflow: its begin and its end, each once, in the transaction that makes it so."""

from __future__ import annotations

from django.utils import timezone

from genfeed.journal.models import OutboxEvent
from jobs.accepting.secret_inputs import with_hidden
from jobs.testmode.mode import mark_of
from jobs.workflows.models import WorkflowRun


def tell(run: WorkflowRun, what: str) -> None:
    """Writes `workflow.<what>` to the outbox, in the caller's transaction."""
    OutboxEvent.objects.create(
        kind=f"workflow.{what}",
        subject=run.pk,
        client_id=run.client_id,
        payload={"workflow": run.pk} | mark_of(is_test=run.client.is_test),
        created_at=timezone.now(),
    )


def end(run: WorkflowRun, outcome: str) -> None:
    """Ends a workflow, with its event; in the transaction of whoever has it to itself."""
    now = timezone.now()
    ending = WorkflowRun.objects.filter(pk=run.pk, turn=run.turn, finished_at=None)
    # Secrets do not outlive what they are for.
    plan = [{**step, "input": with_hidden(step["input"], step["secret"])} for step in run.plan]
    if ending.update(finished_at=now, outcome=outcome, leased_until=None, plan=plan):
        run.finished_at, run.outcome = now, outcome
        tell(run, outcome)
