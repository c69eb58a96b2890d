"""Workflows as the API shows them: what their jobs say, by step and summed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Count, Sum

from jobs.assets.models import Asset
from jobs.assets.rendering import assets_of, output_with_urls, render_asset
from jobs.models import Job
from jobs.rendering import moment
from jobs.workflows.models import StepStatus, WorkflowRun, WorkflowStep
from jobs.workflows.plans import Planned, read_plan
from pricing.estimates.rendering import usd

_HEAVY = ("input", "quote", "terms", "features", "urls", "log_mark", "own_key")
# What a step is said to be whose runs stand in different places: the first of these that any of them is in.
_OF_SEVERAL = (
    StepStatus.RUNNING,
    StepStatus.WAITING,
    StepStatus.FAILED,
    StepStatus.CANCELED,
    StepStatus.SKIPPED,
    StepStatus.SUCCEEDED,
)


def render_workflow(run: WorkflowRun, *, shows_cost: bool) -> dict[str, Any]:
    """One workflow without its steps, as JSON values. Cost only to staff and in core mode, as with jobs."""
    return render_workflows([run], shows_cost=shows_cost)[0]


def render_workflows(runs: Iterable[WorkflowRun], *, shows_cost: bool) -> list[dict[str, Any]]:
    """Workflows without their steps, in two queries for all of them."""
    runs = list(runs)
    keys = [run.pk for run in runs]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    steps = WorkflowStep.objects.filter(workflow__in=keys).order_by().values_list("workflow_id", "status")
    for key, status, number in steps.annotate(n=Count("pk")):
        counts[key][status] = number
    jobs = Job.objects.filter(workflow__in=keys).order_by().values_list("workflow_id")
    sums = {key: (charge or 0, cost or 0) for key, charge, cost in jobs.annotate(a=Sum("charge"), b=Sum("cost"))}
    return [_rendered(run, counts[run.pk], *sums.get(run.pk, (0, 0)), shows_cost=shows_cost) for run in runs]


def _rendered(run: WorkflowRun, counts: Counter[str], charge: int, cost: int, *, shows_cost: bool) -> dict[str, Any]:
    ended = counts.total() - counts[StepStatus.WAITING] - counts[StepStatus.RUNNING]
    body = {
        "id": run.pk,
        "livemode": not run.client.is_test,
        "status": run.status,
        "template": run.template_id,
        "template_version": run.template_version,
        "params": run.params,
        "created_at": moment(run.created_at),
        "finished_at": moment(run.finished_at),
        "counts": {status: counts[status] for status in StepStatus.values},
        "progress": 1 if run.finished_at else round(ended / max(counts.total(), 1), 3),
        "quote": _quote(run.quote),
        "max_price": usd(run.max_price),
        "charge": usd(charge),
        "metadata": run.metadata,
    }
    return body | {"cost": usd(cost)} if shows_cost else body


def render_steps(run: WorkflowRun, *, shows_cost: bool, base_url: str | None = None) -> list[dict[str, Any]]:
    """The steps of a workflow with all their runs, in the order of the plan."""
    rows: dict[str, list[WorkflowStep]] = defaultdict(list)
    for row in WorkflowStep.objects.filter(workflow=run).order_by("index"):
        rows[row.name].append(row)
    jobs = {job.pk: job for job in Job.objects.filter(workflow=run).defer(*_HEAVY)}
    files = assets_of(jobs.values())
    return [
        _step(step, rows[step.name], jobs, files, shows_cost=shows_cost, base_url=base_url)
        for step in read_plan(run.plan).values()
    ]


def _step(
    step: Planned,
    rows: Sequence[WorkflowStep],
    jobs: Mapping[str, Job],
    files: Mapping[str, list[Asset]],
    *,
    shows_cost: bool,
    base_url: str | None,
) -> dict[str, Any]:
    own = [jobs[row.job_id] for row in rows if row.job_id is not None and row.job_id in jobs]
    there = {row.status for row in rows}
    body = {
        "name": step.name,
        "model": step.model.partition(":")[2],
        "status": next((status for status in _OF_SEVERAL if status in there), StepStatus.WAITING),
        "depends_on": list(step.waits_for),
        "on_error": step.on_error,
        "fallback": step.fallback,
        "metadata": step.metadata,
        "quote": _quote({name: getattr(step, name) for name in ("price", "low", "high", "confidence")}),
        "charge": usd(sum(job.charge or 0 for job in own)),
        "runs": [_run(row, jobs.get(row.job_id or ""), files, base_url) for row in rows],
    }
    return body | {"cost": usd(sum(job.cost or 0 for job in own))} if shows_cost else body


def _run(row: WorkflowStep, job: Job | None, files: Mapping[str, list[Asset]], base_url: str | None) -> dict[str, Any]:
    assets = files.get(job.pk, []) if job else []
    return {
        "index": row.index,
        "status": row.status,
        "job": row.job_id,
        "job_status": job.status if job else None,
        "charge": usd(job.charge) if job else None,
        "output": output_with_urls(job.output, assets, base_url=base_url) if job else None,
        "assets": [render_asset(asset, base_url=base_url) for asset in assets],
        "error": row.error,
    }


def _quote(stored: Mapping[str, Any]) -> dict[str, Any]:
    amounts = {name: usd(stored[name]) for name in ("price", "low", "high")}
    return {**amounts, "confidence": stored["confidence"]}
