"""Workflows: what was asked for, as it was asked, and one row for each run of a step. Amounts are nano-USD."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from genfeed.clients.models import ApiKey, Client


class WorkflowTemplate(models.Model):
    """Steps that a client keeps under a name. Its content is in its versions, which never change."""

    id = models.CharField(max_length=40, primary_key=True, help_text="wft_ and a ULID: sorts by time.")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="workflow_templates")
    name = models.CharField(max_length=64)
    version = models.PositiveIntegerField(default=1, help_text="The newest.")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, help_text="Nothing is run by it any more.")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["client", "id"])]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"], condition=Q(deleted_at=None), name="one_workflow_template_a_name"
            )
        ]

    def __str__(self) -> str:
        return self.id


class WorkflowTemplateVersion(models.Model):
    """What a template said from one change to the next."""

    template = models.ForeignKey(WorkflowTemplate, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    description = models.CharField(max_length=500, blank=True)
    parameters = models.JSONField(default=dict, help_text="By name: type, description, and a default where optional.")
    steps = models.JSONField(help_text="As they were sent.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["template", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="one_workflow_template_version_a_number")
        ]

    def __str__(self) -> str:
        return f"{self.template_id} {self.number}"


class WorkflowRun(models.Model):
    """One workflow of a client, from acceptance to its end."""

    id = models.CharField(max_length=40, primary_key=True, help_text="wfl_ and a ULID: sorts by time.")
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="workflows")
    key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="+")
    template = models.ForeignKey(WorkflowTemplate, null=True, on_delete=models.SET_NULL, related_name="runs")
    template_version = models.PositiveIntegerField(null=True)
    params = models.JSONField(default=dict, help_text="What stood for the template's parameters.")
    plan = models.JSONField(help_text="The steps as they run, in an order in which they can (jobs.workflows.plans).")
    quote = models.JSONField(help_text="price, low, high in nano-USD, confidence, missing; as it was before the start.")
    max_price = models.BigIntegerField(null=True)
    priority = models.CharField(max_length=6, default="normal")
    webhook_url = models.CharField(max_length=2000, blank=True)
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    cancel_requested_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, blank=True, help_text="succeeded, failed or canceled, once finished.")

    # Whoever brings it forward has it to itself until then, and counts `turn` up: what an earlier one still does with
    # a turn that is over is undone.
    next_at = models.DateTimeField(default=timezone.now, help_text="When it is looked at next.")
    leased_until = models.DateTimeField(null=True)
    turn = models.PositiveIntegerField(default=0)
    # Counts what happened to its jobs: whoever goes to sleep sees that it has missed nothing.
    news = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        verbose_name = "workflow"
        indexes = [
            models.Index(fields=["client", "id"]),
            models.Index(fields=["next_at"], condition=Q(finished_at=None), name="workflows_due"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def status(self) -> str:
        """`running`, `canceling`, `succeeded`, `failed` or `canceled`."""
        if self.finished_at:
            return self.outcome
        return "canceling" if self.cancel_requested_at else "running"


# The same as conditions.
STATUSES = {
    "running": Q(finished_at=None, cancel_requested_at=None),
    "canceling": Q(finished_at=None, cancel_requested_at__isnull=False),
    "succeeded": Q(outcome="succeeded"),
    "failed": Q(outcome="failed"),
    "canceled": Q(outcome="canceled"),
}


class StepStatus(models.TextChoices):
    """Where a run of a step stands; while it is `running`, its job says more."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"


class WorkflowStep(models.Model):
    """One run of a step, and the job that does it."""

    workflow = models.ForeignKey(WorkflowRun, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(max_length=64, help_text="The step's.")
    index = models.PositiveSmallIntegerField(help_text="Which of the step's runs, from 0.")
    status = models.CharField(max_length=10, choices=StepStatus, default=StepStatus.WAITING)
    job = models.OneToOneField("jobs.Job", null=True, on_delete=models.SET_NULL, related_name="workflow_step")
    error = models.JSONField(null=True, help_text="code, message, hint: why it ended without a job, or still waits.")
    waits_since = models.DateTimeField(null=True, help_text="Since when it could run, but for what `error` says.")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["workflow", "name", "index"], name="one_workflow_step_a_run"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_id} {self.name} {self.index}"
