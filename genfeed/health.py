"""Is this process alive, is it ready to serve, and its metrics."""

import hmac

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from catalog import revisions
from genfeed import metrics
from genfeed.front import stopping

_migrated = False
_SET_BY_PROXIES = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")


def healthz(_request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all; asks nothing of others, so that a database's trouble restarts no web."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when requests can be served: the database answers, its migrations are applied. Else 503 and what is wrong.

    A process that is about to stop says so while it still serves: whoever balances the load sends it nothing new.
    """
    problems: dict[str, str] = {}
    if stopping.is_about_to_stop():
        problems["process"] = "It is about to stop."
    revision = None
    try:
        if not is_migrated():
            problems["migrations"] = "Some are not applied. Run `manage.py migrate`."
        else:
            newest = revisions.current()
            revision = newest.number if newest else 0
    except DatabaseError:
        problems["database"] = "It does not answer."
    ready = not problems
    return JsonResponse(
        {"ready": ready, "catalog_revision": revision, "problems": problems}, status=200 if ready else 503
    )


def is_migrated() -> bool:
    """Whether the database has all migrations. Raises DatabaseError where it does not answer.

    Once true it stays true for this process: looking again would read every migration file at each probe.
    """
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    elif connection.connection is None or not connection.is_usable():
        connection.ensure_connection()
    return _migrated


def metrics_view(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format; for the holder of METRICS_TOKEN or, where none is set, for this machine."""
    if not _may_scrape(request):
        return HttpResponse(
            "Send 'Authorization: Bearer <METRICS_TOKEN>', or scrape from the machine itself.\n",
            content_type="text/plain", status=403,
        )  # fmt: skip
    return HttpResponse(metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _may_scrape(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        presented = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(presented.encode(), settings.METRICS_TOKEN.encode())
    # Behind a proxy on this machine everybody comes from loopback: then a token is needed.
    came_directly = not any(name in request.headers for name in _SET_BY_PROXIES)
    return came_directly and request.META.get("REMOTE_ADDR") in ("127.0.0.1", "::1")
