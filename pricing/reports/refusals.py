"""Counting what clients were refused: in the process, written every few seconds, never by a request.

A storm of refused requests costs a dictionary entry, and one statement a few seconds. A process that is killed outright
loses its last seconds.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, timedelta

from django.db import Error, connections, transaction
from django.db.models import F, Q, Sum
from django.utils import timezone
from prometheus_client import Counter as Metric

from catalog.models import AIModel
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.clients.models import Client
from pricing.models import Refusal
from pricing.reports.questions import Question

FLUSH_SECONDS = 5.0
# Models and clients are rows that exist; there are never more of them than fit.
_MOST = 20_000
Key = tuple[date, str, int, int, str]


@dataclass(frozen=True, slots=True)
class Refused:
    """How often requests for a model, or of a client, were refused."""

    key: int
    name: str
    times: int


logger = logging.getLogger(__name__)
_refusals = Metric("genfeed_refusals_total", "Requests refused with 429.", ["code", "limit"])
_counts: dict[Key, int] = {}
_timer: threading.Timer | None = None
_lock = threading.Lock()
_writing = threading.Lock()


def count_refused_model(model_id: int, code: str, *, client_id: int | None = None) -> None:
    """A client asked for a model that is not offered."""
    _count(Refusal.Kind.MODEL, model_id, client_id or 0, code)


def note_throttled(error: ApiError, caller: Caller | None, *, is_ours: bool = True) -> None:
    """Counts a request that was answered with 429: by code and kind of limit, and of a live client under its name.

    Other errors are not counted. `is_ours`: whether a limit of ours was met, not one that the request itself has set.
    """
    if error.status != 429 or not is_ours:
        return
    limit = error.details.get("limit", "") if isinstance(error.details, dict) else ""
    _refusals.labels(error.code, limit).inc()
    if caller is not None and not caller.is_test:
        count_throttled_client(caller.client_id, error.code)


def count_throttled_client(client_id: int, code: str) -> None:
    """A client asked for more than its limits allow."""
    _count(Refusal.Kind.CLIENT, client_id, 0, code)


def refused_since(kind: str, first: date) -> dict[int, dict[str, int]]:
    """How often each model or client was refused since a day, by code."""
    found: dict[int, dict[str, int]] = {}
    rows = Refusal.objects.filter(kind=kind, day__gte=first).order_by()
    for key, code, times in rows.values_list("key", "code").annotate(n=Sum("times")):
        found.setdefault(key, {})[code] = times
    return found


def refused_of(asked: Question) -> tuple[list[Refused], list[Refused]]:
    """Refused requests of a question, by model and by client, the most frequent first.

    A client's are those for models, and those beyond its limits; of the latter the model is not known, so that they
    are left out where a report is about models.
    """
    rows = Refusal.objects.filter(day__range=(asked.first, asked.last)).order_by()
    wanted = {"pk": asked.model_id, "category": asked.category or None, "provider__slug": asked.provider or None}
    filters = {name: value for name, value in wanted.items() if value is not None}
    if filters:
        models = list(AIModel.objects.filter(**filters).order_by().values_list("pk", flat=True))
        rows = rows.filter(kind=Refusal.Kind.MODEL, key__in=models)
    if asked.client_id is not None:
        of_model = Q(kind=Refusal.Kind.MODEL, client_key=asked.client_id)
        rows = rows.filter(of_model | Q(kind=Refusal.Kind.CLIENT, key=asked.client_id))
    by_model: Counter[int] = Counter()
    by_client: Counter[int] = Counter()
    for kind, key, client, times in rows.values_list("kind", "key", "client_key").annotate(n=Sum("times")):
        if kind == Refusal.Kind.MODEL:
            by_model[key] += times
        by_client[client if kind == Refusal.Kind.MODEL else key] += times
    of_models = dict(AIModel.objects.filter(pk__in=list(by_model)).order_by().values_list("pk", "endpoint_id"))
    of_clients = {0: "(staff, or unknown)"} | dict(Client.objects.order_by().values_list("pk", "name"))
    return _ranked(by_model, of_models), _ranked(by_client, of_clients)


def _ranked(counts: Counter[int], names: dict[int, str]) -> list[Refused]:
    found = [Refused(key, names.get(key, f"no. {key}"), times) for key, times in counts.items()]
    return sorted(found, key=lambda one: (-one.times, one.name))


def flush() -> None:
    """Writes what was counted. What can't be written now is kept for the next time."""
    with _writing:
        with _lock:
            taken = dict(_counts)
            _counts.clear()
        try:
            # In one order for all processes, or two could wait for each other.
            _write({key: taken[key] for key in sorted(taken)})
        except Error as error:
            logger.warning("%d counts of refusals could not be written yet: %s", len(taken), error)
            for key, times in taken.items():
                _add(key, times)


def forget() -> None:
    """Drops what is not written; for a forked process, whose parent writes it, and for tests."""
    global _timer, _lock, _writing
    _lock, _writing, _timer = threading.Lock(), threading.Lock(), None
    _counts.clear()


def forget_old(days: int = 400) -> int:
    """Deletes counts that no rule looks at any more."""
    return Refusal.objects.filter(day__lt=timezone.now().date() - timedelta(days=days)).delete()[0]


def _count(kind: str, key: int, client: int, code: str) -> None:
    _add((timezone.now().astimezone(UTC).date(), str(kind), key, client, code[:40]), 1)


def _add(key: Key, times: int) -> None:
    with _lock:
        if key in _counts or len(_counts) < _MOST:
            _counts[key] = _counts.get(key, 0) + times
        if _timer is None:
            _start_timer()


def _write(counts: dict[Key, int]) -> None:
    if not counts:
        return
    with transaction.atomic():
        for (day, kind, key, client, code), times in counts.items():
            row, _ = Refusal.objects.get_or_create(day=day, kind=kind, key=key, client_key=client, code=code)
            Refusal.objects.filter(pk=row.pk).update(times=F("times") + times)


def _start_timer() -> None:
    """A thread only while there is something to write: a process that nobody asks stays asleep."""
    global _timer
    _timer = threading.Timer(FLUSH_SECONDS, _run)
    _timer.daemon = True
    _timer.start()


def _run() -> None:
    global _timer
    with _lock:
        _timer = None
    try:
        flush()
    finally:
        connections.close_all()


atexit.register(flush)
os.register_at_fork(after_in_child=forget)
