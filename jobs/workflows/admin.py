"""Workflows in the admin: the list, a workflow's page with its steps and their jobs, and its cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from jobs.admin.many import ManyJobsAdmin
from jobs.workflows.advancing import advance
from jobs.workflows.canceling import cancel_workflow
from jobs.workflows.models import STATUSES, WorkflowRun
from jobs.workflows.rendering import render_steps, render_workflows


@admin.register(WorkflowRun)
class WorkflowRunAdmin(ManyJobsAdmin):
    statuses = STATUSES
    looks = {"succeeded": "good", "failed": "bad", "canceled": "warn", "canceling": "warn", "skipped": "warn"}
    word = "workflow"
    ending = "Nothing of it is started any more; its jobs are canceled."
    related = ("client", "key", "template")
    search_help_text = "A workflow's id."
    change_list_template = "admin/jobs/workflowrun/list.html"

    def told_of(self, rows: list[Any]) -> list[dict[str, Any]]:
        return render_workflows(rows, shows_cost=True)

    @admin.display(description="runs of steps")
    def shown_counts(self, row: Any) -> str:
        return super().shown_counts(row)

    def page_of(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        steps = render_steps(row, shows_cost=True)
        for step in steps:
            step["look"] = self.looks.get(step["status"], "")
        return {"run": row, "steps": steps}

    def begin_cancel(self, row: Any, *, beside: Callable[[], None]) -> Any:
        canceled = cancel_workflow(row, reason="staff", beside=beside)
        advance(canceled.pk)
        canceled.refresh_from_db()
        return canceled
