"""The profitability report of a period: everything that its page, its CSV files and the API show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from catalog.models import AIModel
from pricing.models.reports import AMOUNTS, BUCKETS
from pricing.reports.answers import Group, groups_of, total_of
from pricing.reports.counting import counts_of
from pricing.reports.figures import Figures, change, percent, total
from pricing.reports.questions import FEW, Question
from pricing.reports.refusals import Refused, refused_of

TOP, BOTTOM, INACCURATE = 15, 10, 15
# A model's mean deviation says something from this many compared jobs on.
_ENOUGH = 5
# Shares of the revenue; what is left of nothing has no margin.
BINS = ("loss", "0–10 %", "10–20 %", "20–30 %", "30–40 %", "40–50 %", "50–60 %", "60–70 %", "70–80 %", "80–90 %",
        "90–100 %", "no revenue")  # fmt: skip
ORDERS = {
    "revenue": lambda one: -one.figures.revenue,
    "margin": lambda one: -one.figures.margin,
    "cost": lambda one: -one.figures.cost,
    "jobs": lambda one: -one.figures.jobs,
    "failures": lambda one: -one.figures.failed,
    "name": lambda one: one.name,
}
CSV_HEAD = (
    "jobs", "succeeded", "failed", "canceled", "cache_hits", "success_percent", "revenue_usd", "cost_usd", "margin_usd",
    "margin_percent", "refunds_usd", "write_offs_usd", "loss_usd", "mean_seconds", "revenue_before_usd",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A group with its figures, and its few figures of the period before."""

    group: Group
    before: Figures

    @property
    def revenue_change(self) -> str:
        return percent(change(self.group.figures.revenue, self.before.revenue))


@dataclass(frozen=True, slots=True)
class Bin:
    """Models whose margin lies in a range."""

    number: int
    name: str
    models: int
    revenue: int
    margin: int


@dataclass(frozen=True, slots=True)
class Report:
    """`lines` are sorted as asked; `bins` and `accuracy` are of models whatever the lines are of."""

    asked: Question
    by: str
    now: Figures
    before: Figures
    lines: list[Line]
    course: list[Group]
    bins: list[Bin]
    accuracy: list[Group]
    errors: list[tuple[str, int]]
    features: list[tuple[str, int]]
    refused_models: list[Refused]
    refused_clients: list[Refused]

    @property
    def bottom(self) -> list[Line]:
        """The lines with the least margin, the worst first."""
        return sorted(self.lines, key=lambda line: (line.group.figures.margin, line.group.name))[:BOTTOM]


def report_of(asked: Question, by: str, *, order: str = "revenue", bin_number: int | None = None) -> Report:
    """The report."""
    errors, features = counts_of(asked)
    refused_models, refused_clients = refused_of(asked)
    models = groups_of(asked, "model", sums=AMOUNTS)
    groups = _grouped(asked, by, models)
    if order in ORDERS:
        groups.sort(key=ORDERS[order])
    if by == "model" and bin_number is not None:
        groups = [one for one in groups if bin_of(one.figures) == bin_number]
    before = groups_of(asked.before, "model", sums=FEW) if by in ("model", "category", "provider") else []
    earlier = {one.key: one.figures for one in _grouped(asked.before, by, before)} if by != "day" else {}
    accuracy = [one for one in models if one.figures.quoted_jobs >= _ENOUGH]
    accuracy.sort(key=lambda one: (-(one.figures.deviation or Decimal(0)), one.name))
    return Report(
        asked=asked,
        by=by,
        now=total([*(one.figures for one in models), total_of(asked, sums=BUCKETS)]),
        before=total(one.figures for one in before) if before else total_of(asked.before, sums=FEW),
        lines=[Line(one, earlier.get(one.key, Figures({}))) for one in groups],
        course=groups_of(asked, "day", sums=FEW),
        bins=bins_of(models),
        accuracy=accuracy,
        errors=errors,
        features=features,
        refused_models=refused_models,
        refused_clients=refused_clients,
    )


def _grouped(asked: Question, by: str, models: list[Group]) -> list[Group]:
    """The groups, from those of models where these tell all: joining thousands of rollups with models takes longer."""
    if by == "model":
        return list(models)
    if by not in ("category", "provider"):
        return groups_of(asked, by, sums=AMOUNTS)
    column = {"category": "category", "provider": "provider__slug"}[by]
    of_model = dict(AIModel.objects.order_by().values_list("pk", column))
    found: dict[str, list[Figures]] = {}
    for one in models:
        found.setdefault(of_model[one.key], []).append(one.figures)
    return [Group(key, key or "(none)", total(many)) for key, many in found.items()]


def latencies_of(asked: Question, by: str, keys: Sequence[Any]) -> dict[Any, Figures]:
    """The histograms of some groups: half of what a rollup holds, and read for few of them only."""
    sums = ("timed", *BUCKETS)
    wanted = set(keys)
    only = keys if by == "model" else None
    return {one.key: one.figures for one in groups_of(asked, by, sums=sums, only=only) if one.key in wanted}


def bin_of(figures: Figures) -> int:
    """The number of the range that a margin lies in."""
    rate = figures.margin_rate
    if rate is None:
        return len(BINS) - 1 if figures.cost == 0 else 0
    return 0 if rate < 0 else 1 + min(int(rate * 10), 9)


def bins_of(models: Sequence[Group]) -> list[Bin]:
    """How the margins of models are spread."""
    found: list[list[Figures]] = [[] for _ in BINS]
    for one in models:
        found[bin_of(one.figures)].append(one.figures)
    return [
        Bin(n, name, len(many), sum(one.revenue for one in many), sum(one.margin for one in many))
        for n, (name, many) in enumerate(zip(BINS, found, strict=True))
    ]


def csv_rows(lines: Sequence[Line]) -> list[list[Any]]:
    """The lines as exact text, a cell for each of CSV_HEAD after the name."""
    return [[line.group.name, *csv_cells(line.group.figures), line.before.usd("revenue")] for line in lines]


def csv_cells(one: Figures) -> list[Any]:
    seconds = "" if one.seconds is None else f"{one.seconds:.3f}"
    return [
        one.jobs, one.succeeded, one.failed, one.canceled, one.cached, percent(one.success_rate, 2),
        one.usd("revenue"), one.usd("cost"), one.usd("margin"), percent(one.margin_rate, 2), one.usd("refunds"),
        one.usd("write_offs"), one.usd("loss"), seconds,
    ]  # fmt: skip
