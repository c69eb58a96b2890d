"""Prometheus metrics: requests counted in every process, catalog figures read from the database at the scrape."""

from collections.abc import Iterator

from django.db.models import Count, Max
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from catalog import revisions
from catalog.models import AIModel, SyncRun
from genfeed.clients.errors import ApiError
from genfeed.journal.models import Alert

_requests = Counter("genfeed_http_requests_total", "Requests answered.", ["method", "route", "status"])
_seconds = Histogram(
    "genfeed_http_request_seconds",
    "Time from request to answer.",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
_refusals = Counter("genfeed_refusals_total", "Requests refused with 429.", ["code", "limit"])


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Counts one answered request under its route's pattern."""
    # A method is any word that a caller likes; each would be a time series for ever.
    _requests.labels(method if method in _METHODS else "other", route, status).inc()
    _seconds.labels(route).observe(seconds)


def observe_refusal(error: ApiError) -> None:
    """Counts a request that was refused because it was one too many, by code and kind of limit."""
    limit = error.details.get("limit", "") if isinstance(error.details, dict) else ""
    _refusals.labels(error.code, limit).inc()


class CatalogCollector(Collector):
    """Gauges that are rows anyway: models, syncs, alerts."""

    def collect(self) -> Iterator[Metric]:
        models = GaugeMetricFamily(
            "genfeed_catalog_models", "Models of the catalog.", labels=["provider", "status", "enabled"]
        )
        counts = AIModel.objects.values_list("provider__slug", "status", "enabled").annotate(n=Count("pk")).order_by()
        for provider, status, enabled, n in counts:
            models.add_metric([provider, status, str(enabled).lower()], n)
        yield models
        last = GaugeMetricFamily(
            "genfeed_last_successful_sync_timestamp_seconds", "When a sync last succeeded.", labels=["provider"]
        )
        done = SyncRun.objects.filter(status=SyncRun.Status.SUCCEEDED).values_list("provider__slug")
        for provider, at in done.annotate(at=Max("finished_at")).order_by():
            last.add_metric([provider], at.timestamp())
        yield last
        runs = GaugeMetricFamily("genfeed_sync_runs", "Syncs by outcome.", labels=["provider", "status"])
        for provider, status, n in (
            SyncRun.objects.values_list("provider__slug", "status").annotate(n=Count("pk")).order_by()
        ):
            runs.add_metric([provider, status], n)
        yield runs
        revision = revisions.current()
        yield GaugeMetricFamily(
            "genfeed_catalog_revision", "Number of the published catalog.", value=revision.number if revision else 0
        )
        yield GaugeMetricFamily(
            "genfeed_open_alerts",
            "Alerts that are neither acknowledged nor resolved.",
            value=Alert.objects.filter(acknowledged_at=None, resolved_at=None).count(),
        )


def exposition() -> bytes:
    """All metrics of all processes in Prometheus' text format."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    registry.register(CatalogCollector())
    return generate_latest(registry)
