"""Prometheus metrics: requests counted in every process, catalog figures read from the database at the scrape."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db.models import Count, Max
from django.utils import timezone
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from catalog import revisions
from catalog.models import AIModel, SyncRun
from genfeed.journal.models import Alert
from genfeed.metric_files import being_read
from jobs.dispatching import standing

_requests = Counter("genfeed_http_requests_total", "Requests answered.", ["method", "route", "status"])
_seconds = Histogram(
    "genfeed_http_request_seconds",
    "Time from request to answer.",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Counts one answered request under its route's pattern."""
    # A method is any word that a caller likes; each would be a time series for ever.
    _requests.labels(method if method in _METHODS else "other", route, status).inc()
    _seconds.labels(route).observe(seconds)


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


class JobsCollector(Collector):
    """Gauges of jobs that are open now, and whether providers take any."""

    def collect(self) -> Iterator[Metric]:
        open_jobs = GaugeMetricFamily("genfeed_jobs_open", "Jobs that have not ended.", labels=["status"])
        for status, n in standing.open_counts().items():
            open_jobs.add_metric([status], n)
        yield open_jobs
        oldest = standing.oldest_queued()
        yield GaugeMetricFamily(
            "genfeed_jobs_oldest_queued_seconds",
            "How long the oldest queued job has waited.",
            value=(timezone.now() - oldest).total_seconds() if oldest else 0,
        )
        yield GaugeMetricFamily(
            "genfeed_jobs_quarantined", "Jobs whose bill waits for a decision.", value=standing.quarantined()
        )
        shut = GaugeMetricFamily("genfeed_provider_gate_shut", "1 while no job goes to it.", labels=["provider"])
        for gate in standing.gates():
            shut.add_metric([gate.provider], int(gate.state == "open"))
        yield shut


class MachineCollector(Collector):
    """Load with the cores that carry it, memory and storage of the machine that is asked."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("genfeed_load_average", "Processes that run or want to.", value=os.getloadavg()[0])
        yield GaugeMetricFamily("genfeed_cpus", "Cores of the machine.", value=os.cpu_count() or 1)
        if (available := _memory_available()) is not None:
            yield GaugeMetricFamily("genfeed_memory_available_bytes", "Memory left to programs.", value=available)
        left = shutil.disk_usage(settings.VAR_DIR).free
        yield GaugeMetricFamily("genfeed_storage_free_bytes", "Free space in the data folder.", value=left)


def _memory_available() -> int | None:
    """Bytes that programs can still have, what only caches files among them; None where the system does not tell."""
    source = Path("/proc/meminfo")
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", source.read_text(), re.MULTILINE) if source.exists() else None
    return int(found[1]) * 1024 if found else None


def exposition() -> bytes:
    """All metrics of all processes in Prometheus' text format."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    for collector in (CatalogCollector(), JobsCollector(), MachineCollector()):
        registry.register(collector)
    with being_read(settings.METRICS_DIR):
        return generate_latest(registry)
