"""What is left of an erased client's workflows: that they were, of which models, and what they cost."""

from __future__ import annotations

from genfeed.clients.models import Client
from jobs.workflows.models import WorkflowRun, WorkflowStep, WorkflowTemplate


def erase_workflows(client: Client) -> None:
    """Erases what a client wrote in workflows and templates, in the caller's transaction."""
    WorkflowTemplate.objects.filter(client=client).delete()
    WorkflowStep.objects.filter(workflow__client=client).update(error=None)
    runs = list(WorkflowRun.objects.filter(client=client))
    for run in runs:
        run.params, run.metadata, run.webhook_url = {}, {}, ""
        run.plan = [{**step, "input": {}, "media": None, "priced_media": {}, "metadata": {}} for step in run.plan]
    WorkflowRun.objects.bulk_update(runs, ["params", "metadata", "webhook_url", "plan"], batch_size=100)
