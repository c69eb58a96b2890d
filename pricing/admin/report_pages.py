"""The report Profitability: its page, its tables as CSV, and the links from every number to the rows behind it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from pricing.admin.addresses import addresses_of
from pricing.admin.report_form import ReportForm
from pricing.money import format_usd
from pricing.reports.answers import Group
from pricing.reports.charts import bars, columns, course
from pricing.reports.counting import error_course, units_of
from pricing.reports.figures import percent
from pricing.reports.questions import Question
from pricing.reports.refusals import Refused
from pricing.reports.report import BINS, CSV_HEAD, TOP, Line, Report, csv_cells, csv_rows, latencies_of, report_of
from pricing.reports.rollups import rolled_until
from pricing.usage.days import next_month
from pricing.usage.tables import as_csv

_SHOWN = 25
# What a click on a line of each kind leads to.
_DEEPER = {"model": "client", "client": "model", "category": "model", "provider": "category", "day": "model"}


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The report's addresses, for those who may view usage records."""

    def allowed(view: Any) -> Any:
        def checked(request: HttpRequest, **named: str) -> HttpResponse:
            if not page.has_view_permission(request):
                raise PermissionDenied
            return view(page, request, **named)

        return page.admin_site.admin_view(checked)

    return [
        path("profitability/", allowed(report_page), name="pricing_report"),
        path("profitability/<slug:table>.csv", allowed(report_csv), name="pricing_report_csv"),
    ]


def report_page(page: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """The report, or the form with what is wrong about it."""
    form = ReportForm(request.GET)
    context = {
        "title": "Profitability",
        "form": form,
        "rolled_until": rolled_until(),
        "opts": page.opts,
        **page.admin_site.each_context(request),
    }
    if form.is_valid():
        context |= _context(form)
    return TemplateResponse(request, "admin/pricing/usagerecord/report.html", context)


def report_csv(_page: admin.ModelAdmin, request: HttpRequest, table: str) -> HttpResponse:
    """One table of the report, whole."""
    form = ReportForm(request.GET)
    if table not in _TABLES or not form.is_valid():
        return HttpResponse("There is no such table.", status=404, content_type="text/plain")
    head, rows = _TABLES[table](_report(form))
    answer = HttpResponse(as_csv(head, rows), content_type="text/csv; charset=utf-8")
    name = f"{table}-{form.cleaned_data['first']}-{form.cleaned_data['last']}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _report(form: ReportForm) -> Report:
    said = form.cleaned_data
    wanted = said["bin"] if isinstance(said["bin"], int) else None
    return report_of(form.question, said["by"] or "model", order=said["order"] or "revenue", bin_number=wanted)


def _context(form: ReportForm) -> dict[str, Any]:
    report = _report(form)
    asked, by = report.asked, report.by
    shown = report.lines if by == "day" else report.lines[:_SHOWN]
    keys = [line.group.key for line in (*shown, *report.bottom)]
    latencies = latencies_of(asked, by, keys)
    units = units_of(asked, keys) if by == "model" and asked.client_id is None else {}
    ranked = sorted(report.lines, key=lambda line: -line.group.figures.revenue)[:TOP]
    query = _query(form)
    of_models = [one.key for one in report.accuracy[:TOP]] + [one.key for one in report.refused_models[:TOP]]
    links = _Links(form, asked, addresses_of(of_models + (keys if by == "model" else [])))
    return {
        "report": report,
        "asked": asked,
        "by": by,
        "what": "month" if by == "day" and asked.by_months else by,
        "query": query,
        "records": links.records(),
        "lines": [links.line(line, by, latencies, units) for line in shown],
        "hidden": len(report.lines) - len(shown),
        "worst": [links.line(line, by, latencies, units) for line in report.bottom] if by != "day" else [],
        "course": [
            (one, links.group(one, "day"), links.group(one, "day", outcome__exact="failed")) for one in report.course
        ],
        "bins": [(one, f"?{_query(form, by='model', bin=str(one.number))}") for one in report.bins],
        "bin_name": BINS[form.cleaned_data["bin"]] if isinstance(form.cleaned_data["bin"], int) else "",
        "accuracy": [(one, links.records(of_model=links.model(one), compared="yes")) for one in report.accuracy[:TOP]],
        "refused_models": [(one, links.refusals(of_model=links.model(one))) for one in report.refused_models[:TOP]],
        "refused_clients": [
            (one, links.refusals(of_client=one.name if one.key else "-")) for one in report.refused_clients[:TOP]
        ],
        "errors": [(name, n, links.records(error=name)) for name, n in report.errors[:_SHOWN]],
        "features": [(name, n, links.records(feature=name)) for name, n in report.features[:_SHOWN]],
        "charts": {
            "course": course(
                f"Revenue and cost by {'month' if asked.by_months else 'day'}, USD",
                [(one.name, one.figures.revenue, one.figures.cost) for one in report.course],
            ),
            "top": bars("Revenue, USD", [(line.group.name, line.group.figures.revenue) for line in ranked]),
            "bottom": bars("Margin, USD", [(one.group.name, one.group.figures.margin) for one in report.bottom]),
            "bins": columns(
                "Models by margin",
                [(one.name, one.models, "loss" if one.number == 0 else "margin") for one in report.bins],
            ),
            "accuracy": columns(
                "Mean deviation of estimates from bills, %",
                [(one.name[-14:], round((one.figures.deviation or 0) * 100), "cost") for one in report.accuracy[:8]],
            ),
            "errors": columns("Failed jobs by error", [(name, n, "loss") for name, n in report.errors[:8]]),
        },
        "timed": links.records(is_cached__exact="0"),
        "compared": links.records(compared="yes"),
        "failed": links.records(outcome__exact="failed"),
        "cached": links.records(is_cached__exact="1"),
        "refunded": links.records(later="refund"),
        "written_off": links.records(later="write_off"),
    }


class _Links:
    """Addresses of the rows behind numbers of one report."""

    def __init__(self, form: ReportForm, asked: Question, addresses: dict[int, str]) -> None:
        self.form, self.asked, self.addresses = form, asked, addresses
        said = form.cleaned_data
        self.filters = {
            "from": asked.first.isoformat(),
            "to": asked.last.isoformat(),
            "of_model": f"{said['model'].provider.slug}:{said['model'].endpoint_id}" if said["model"] else "",
            "of_client": said["client"].name if said["client"] else "",
            "provider": said["provider"],
            "category": said["category"],
        }

    def model(self, one: Group | Refused) -> str:
        """The address of a model; its name where it is gone."""
        return self.addresses.get(one.key, one.name)

    def records(self, **more: str) -> str:
        wanted = {name: value for name, value in (self.filters | more).items() if value}
        return f"{reverse('admin:pricing_usagerecord_changelist')}?{urlencode(wanted)}"

    def refusals(self, **more: str) -> str:
        """Counts of refused requests of these days, under the same filters."""
        wanted = {name: value for name, value in (self.filters | more).items() if value}
        return f"{reverse('admin:pricing_refusal_changelist')}?{urlencode(wanted)}"

    def group(self, group: Group, by: str, **more: str) -> str:
        """The records of a group."""
        if by == "day":
            first, last = _days(group, self.asked)
            return self.records(**({"from": first, "to": last} | more))
        if by == "client" and group.key is None:
            return self.records(of_client="-", **more)
        if by == "model":
            return self.records(of_model=self.model(group), **more)
        if by == "client":
            return self.records(of_client=group.name, **more)
        return self.records(**{by: str(group.key or "-")}, **more)

    def line(self, line: Line, by: str, latencies: dict[Any, Any], units: dict[int, dict[str, str]]) -> dict[str, Any]:
        group, before = line.group, self.asked.before
        narrower: dict[str, str] = {"by": _DEEPER[by]}
        if by == "day":
            first, last = _days(group, self.asked)
            narrower |= {"period": "days", "first": first, "last": last}
        elif by in ("model", "category", "provider"):
            narrower[by] = self.model(group) if by == "model" else str(group.key)
        else:
            narrower["client"] = str(group.key or "")
        return {
            "name": group.name,
            "figures": group.figures,
            "latency": latencies.get(group.key),
            "units": units.get(group.key, {}) if by == "model" else {},
            "change": line.revenue_change,
            "deeper": f"?{_query(self.form, **narrower)}",
            "records": self.group(group, by),
            "before": self.group(group, by, **{"from": before.first.isoformat(), "to": before.last.isoformat()}),
            "failed": self.group(group, by, outcome__exact="failed"),
            "refunded": self.group(group, by, later="refund"),
            "timed": self.group(group, by, is_cached__exact="0"),
        }


def _days(group: Group, asked: Question) -> tuple[str, str]:
    """First and last day of a step of the course, within what is asked for."""
    if not asked.by_months:
        return group.key.isoformat(), group.key.isoformat()
    last = next_month(group.key) - timedelta(days=1)
    return max(group.key, asked.first).isoformat(), min(last, asked.last).isoformat()


def _query(form: ReportForm, **more: str) -> str:
    query = QueryDict(mutable=True)
    for name in form.fields:
        value = more[name] if name in more else "" if name == "bin" else form.data.get(name, "")
        if value:
            query[name] = value
    if form.cleaned_data.get("bin") not in (None, "") and not more:
        query["bin"] = str(form.cleaned_data["bin"])
    return query.urlencode()


def _groups_table(report: Report) -> tuple[list[str], list[list[Any]]]:
    return [report.by, *CSV_HEAD], csv_rows(report.lines)


def _course_table(report: Report) -> tuple[list[str], list[list[Any]]]:
    head = ["month" if report.asked.by_months else "day", "jobs", "failed", "revenue_usd", "cost_usd", "margin_usd"]
    return head, [
        [one.name, one.figures.jobs, one.figures.failed, *(one.figures.usd(n) for n in ("revenue", "cost", "margin"))]
        for one in report.course
    ]


def _bins_table(report: Report) -> tuple[list[str], list[list[Any]]]:
    head = ["margin", "models", "revenue_usd", "margin_usd"]
    return head, [[one.name, one.models, format_usd(one.revenue), format_usd(one.margin)] for one in report.bins]


def _accuracy_table(report: Report) -> tuple[list[str], list[list[Any]]]:
    head = ["model", "jobs", "estimated_usd", "billed_usd", "mean_deviation_percent", "bias_percent"]
    return head, [
        [
            one.name, one.figures.quoted_jobs, one.figures.usd("quoted_cost"), one.figures.usd("quoted_bill"),
            percent(one.figures.deviation, 2), percent(one.figures.bias, 2),
        ]
        for one in report.accuracy
    ]  # fmt: skip


def _errors_table(report: Report) -> tuple[list[str], list[list[Any]]]:
    return ["day", "error", "jobs"], [[day.isoformat(), name, n] for day, name, n in error_course(report.asked)]


def _features_table(report: Report) -> tuple[list[str], list[list[Any]]]:
    return ["feature", "jobs"], [[name, n] for name, n in report.features]


def _refused_table(report: Report) -> tuple[list[str], list[list[Any]]]:
    return ["of", "name", "requests"], [
        *(["model", one.name, one.times] for one in report.refused_models),
        *(["client", one.name, one.times] for one in report.refused_clients),
    ]


def _total_table(report: Report) -> tuple[list[str], list[list[Any]]]:
    row = ["total", *csv_cells(report.now), report.before.usd("revenue")]
    return ["of", *CSV_HEAD], [row]


_TABLES = {
    "groups": _groups_table,
    "course": _course_table,
    "margins": _bins_table,
    "accuracy": _accuracy_table,
    "errors": _errors_table,
    "features": _features_table,
    "refused": _refused_table,
    "total": _total_table,
}
