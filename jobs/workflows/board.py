"""Where a workflow stands: which runs can begin, which never will, and what came of the whole. Rows in, rows out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jobs.workflows.models import StepStatus, WorkflowStep
from jobs.workflows.plans import Planned, run_of

_OPEN = (StepStatus.WAITING, StepStatus.RUNNING)
_STOPPED = (StepStatus.FAILED, StepStatus.CANCELED, StepStatus.SKIPPED)


class Board:
    """The runs of a workflow's steps, as they are at hand; whoever changes a row changes it here."""

    def __init__(self, plan: Mapping[str, Planned], rows: Iterable[WorkflowStep]) -> None:
        self.plan = plan
        self.rows: dict[str, list[WorkflowStep]] = defaultdict(list)
        for row in rows:
            self.rows[row.name].append(row)
        for runs in self.rows.values():
            runs.sort(key=lambda row: row.index)

    def all(self, *statuses: str) -> list[WorkflowStep]:
        """The runs in these states, in the order of the plan; without any, all."""
        runs = (row for name in self.plan for row in self.rows[name])
        return [row for row in runs if not statuses or row.status in statuses]

    def sources(self, row: WorkflowStep) -> dict[str, WorkflowStep]:
        """The runs whose outputs a run takes, by step."""
        step = self.plan[row.name]
        names = dict.fromkeys(one.step for one in step.references)
        return {name: self.rows[name][run_of(row.index, step.runs, len(self.rows[name]))] for name in names}

    def skip(self) -> list[WorkflowStep]:
        """Marks the runs that never can begin, and names in their error what they waited for; returns them."""
        skipped = []
        for row in self.all(StepStatus.WAITING):
            cause = next(self._hindrances(row), None)
            if cause is not None:
                row.status, row.error, row.waits_since = StepStatus.SKIPPED, _skipped(cause), None
                skipped.append(row)
        return skipped

    def ready(self) -> list[WorkflowStep]:
        """The waiting runs that all others are done for."""
        return [row for row in self.all(StepStatus.WAITING) if not self._waits(row)]

    @property
    def outcome(self) -> str:
        """`succeeded` or `failed` once every run has ended, "" before."""
        if self.all(*_OPEN):
            return ""
        lost = self.all(StepStatus.FAILED, StepStatus.CANCELED)
        return "failed" if any(self.plan[row.name].on_error == "fail" for row in lost) else "succeeded"

    def _waits(self, row: WorkflowStep) -> bool:
        sources = self.sources(row)
        if any(source.status in _OPEN for source in sources.values()):
            return True
        return any(other.status in _OPEN for name in self._after(row) for other in self.rows[name])

    def _hindrances(self, row: WorkflowStep) -> Iterator[WorkflowStep]:
        for source in self.sources(row).values():
            if source.status in _STOPPED:
                yield source
        for name in self._after(row):
            if self.plan[name].on_error == "fail":
                yield from (other for other in self.rows[name] if other.status in _STOPPED)

    def _after(self, row: WorkflowStep) -> tuple[str, ...]:
        """The steps that it comes after as a whole, all their runs."""
        return self.plan[row.name].depends_on


def _skipped(cause: WorkflowStep) -> dict[str, Any]:
    words = "failed" if cause.status == StepStatus.FAILED else f"was {cause.status}"
    told = cause.error or {}
    return {
        "code": told.get("code", "conflict"),
        "message": f"It was not run, because run {cause.index} of step {cause.name!r} {words}.",
        "hint": f"See what became of step {cause.name!r}. Nothing was charged for this one.",
    }
