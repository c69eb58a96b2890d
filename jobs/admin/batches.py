"""Batches in the admin: the list, a batch's page, and its cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from jobs.admin.many import ManyJobsAdmin
from jobs.batches.canceling import cancel_batch
from jobs.batches.models import STATUSES, Batch
from jobs.batches.rendering import render_batches


@admin.register(Batch)
class BatchAdmin(ManyJobsAdmin):
    statuses = STATUSES
    looks = {"completed": "good", "canceled": "warn", "canceling": "warn"}
    word = "batch"
    ending = "Nothing of it is sent any more; its jobs are canceled."
    search_help_text = "A batch's id."
    change_list_template = "admin/jobs/batch/list.html"

    def told_of(self, rows: list[Any]) -> list[dict[str, Any]]:
        return render_batches(rows)

    @admin.display(description="items")
    def shown_counts(self, row: Any) -> str:
        return f"{row.size}: {super().shown_counts(row)}"

    def page_of(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        counts = self._told(row)["counts"]
        return {
            "batch": row,
            "counts": [(status, number) for status, number in counts.items() if number],
            "refusals": row.refusals.all(),
        }

    def begin_cancel(self, row: Any, *, beside: Callable[[], None]) -> Any:
        return cancel_batch(row, reason="staff", beside=beside)
