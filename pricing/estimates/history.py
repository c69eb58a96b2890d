"""What requests like this one have cost: from our own settled jobs, else from what the provider says of its history."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from statistics import median, quantiles
from typing import Any

import orjson
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from catalog.models import AIModel
from pricing.counting.requests import as_number
from pricing.estimates.costs import History
from pricing.estimates.facts import Facts
from pricing.models import ProviderEstimate, UsageRecord
from pricing.money import format_decimal, to_usd

FEWEST = 5
NEWEST = 500
LATENCY_ROWS = 20_000
WINDOW = timedelta(days=90)
LATENCY_WINDOW = timedelta(days=7)
# The provider's figure is an average that says nothing of the spread around it.
SPREAD = 3
REMEMBER_SECONDS = 30.0
_REMEMBERED = 500
# Our own estimates among them would teach us what we thought before.
_BILLED = (UsageRecord.CostSource.BILLING_EVENT, UsageRecord.CostSource.BILLABLE_UNITS)
# Names of fields that change what a model does so much that it may change the price.
_MATTERS = re.compile(
    r"duration|seconds|length|frames|fps|frame_rate|resolution|size|width|height|aspect|quality|mode|model|audio|"
    r"^num_|^n$|count|steps|scale|factor|speed|tier|texture|quad|samples|images$|upscale|search|thinking"
)
_NEVER = re.compile(r"guidance|cfg|seed|sync_mode|prompt|format|safety|strength|lora")
_LONGEST_WORD = 60
# Which LoRAs a request names; not their scales and other settings.
_LORA = re.compile(r"(^|_)loras?($|_(url|urls|path|weights)$)")


@dataclass(frozen=True)
class _Past:
    """The newest settled jobs of a model: their features as one comparable text, and their cost in nano-USD."""

    jobs: tuple[tuple[bytes, int], ...]
    provider_cost: int | None


# None: there are jobs, which are read once somebody asks about them.
_cache: OrderedDict[int, tuple[float, _Past | None]] = OrderedDict()
_latencies: tuple[float, dict[int, float]] | None = None
_lock = threading.Lock()


def features_of(inputs: Iterable[Mapping[str, Any]], filled: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request (defaults filled in) that may change its price: what a usage record keeps of an input.

    Texts and files are never among them: words are choices of an enum or short, numbers are numbers. Of LoRAs it is
    their number, for reports.
    """
    found = {}
    for item in inputs:
        name = item["name"]
        value = filled.get(name, item.get("default"))
        if _LORA.search(name):
            if number := _number_of(value):
                found[name] = number
            continue
        if value is None or not _is_choice(item, value):
            continue
        if may_change_price(item):
            found[name] = value
    return found


def _number_of(value: Any) -> int:
    """How many there are: of a list, or of one address."""
    return len(value) if isinstance(value, list) else int(isinstance(value, str | dict) and bool(value))


def may_change_price(item: Mapping[str, Any]) -> bool:
    """Whether a field is one of those that change prices where they are there: sizes, lengths, counts, switches."""
    named = bool(_MATTERS.search(item["name"])) or item.get("type") == "boolean"
    return named and not _NEVER.search(item["name"])


def _is_choice(item: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, str):
        chosen = bool(item.get("enum") or item.get("presets"))
        return not item.get("media") and len(value) <= _LONGEST_WORD and (chosen or bool(_MATTERS.search(item["name"])))
    if isinstance(value, dict):
        return set(value) <= {"width", "height"}
    return isinstance(value, bool | int | float)


def history_of(facts: Facts, filled: Mapping[str, Any]) -> History | None:
    """The history of requests like this one; None where neither we nor the provider has any.

    Of our own jobs at least five with the same fields that matter, else at least five with any; then only the
    highest of them bounds the cost.
    """
    past = _past(facts.pk)
    wanted = _key(features_of(facts.inputs, filled))
    same = [to_usd(cost) for features, cost in past.jobs if features == wanted]
    if len(same) >= FEWEST:
        tenths = quantiles(same, n=10, method="inclusive")
        return _history(same, tenths[0], tenths[-1], f"median of {len(same)} jobs of ours with the same settings")
    every = [to_usd(cost) for _, cost in past.jobs]
    if len(every) >= FEWEST:
        return _history(every, min(every), max(every), f"median of {len(every)} jobs of ours with other settings")
    if past.provider_cost:
        cost = to_usd(past.provider_cost)
        words = "the provider's own average of past calls, whatever their settings"
        return History(cost, None, cost * SPREAD, words)
    return None


def _history(costs: list[Decimal], low: Decimal, high: Decimal, words: str) -> History:
    return History(median(costs), low, high, words)


def latencies() -> dict[int, float]:
    """Median seconds from submission to result by model key, of the last week's jobs, where there are enough."""
    global _latencies
    now = time.monotonic()
    if _latencies and now - _latencies[0] < REMEMBER_SECONDS:
        return _latencies[1]
    # A stored answer takes no time, and a failure may come early or late.
    rows = UsageRecord.objects.filter(
        outcome=UsageRecord.Outcome.SUCCEEDED,
        is_cached=False,
        seconds__gt=0,
        created_at__gt=timezone.now() - LATENCY_WINDOW,
    )
    by_model: dict[int, list[float]] = {}
    for key, seconds in rows.values_list("model_id", "seconds")[:LATENCY_ROWS]:
        by_model.setdefault(key, []).append(seconds or 0.0)
    found = {key: median(values) for key, values in by_model.items() if len(values) >= FEWEST}
    _latencies = (now, found)
    return found


def forget_model(key: int) -> None:
    """Forgets what was remembered of one model, of which the caller has just learned more."""
    with _lock:
        _cache.pop(key, None)


def forget() -> None:
    """Forgets what was remembered; for tests."""
    global _latencies
    with _lock:
        _cache.clear()
    _latencies = None


def look_up(keys: Iterable[int]) -> None:
    """Learns in two queries which of these models have no jobs to learn from, so that not each is asked about."""
    now = time.monotonic()
    with _lock:
        wanted = {key for key in keys if key not in _cache or now - _cache[key][0] >= REMEMBER_SECONDS}
    if not wanted:
        return
    used = set(AIModel.objects.filter(Exists(_jobs(OuterRef("pk"))), pk__in=wanted).values_list("pk", flat=True))
    estimates = dict(ProviderEstimate.objects.filter(model__in=wanted - used).values_list("model_id", "cost"))
    for key in wanted:
        _remember(key, None if key in used else _Past((), estimates.get(key)), now)


def _jobs(key: int | OuterRef) -> QuerySet[UsageRecord]:
    return UsageRecord.objects.filter(
        model=key,
        outcome=UsageRecord.Outcome.SUCCEEDED,
        cost_source__in=_BILLED,
        is_cached=False,
        cost__gt=0,
        created_at__gt=timezone.now() - WINDOW,
    )


def _past(key: int) -> _Past:
    now = time.monotonic()
    with _lock:
        known = _cache.get(key)
    if known and known[1] and now - known[0] < REMEMBER_SECONDS:
        return known[1]
    jobs = tuple((_key(features), cost) for features, cost in _jobs(key).values_list("features", "cost")[:NEWEST])
    estimate = ProviderEstimate.objects.filter(model=key).values_list("cost", flat=True).first()
    past = _Past(jobs, estimate)
    _remember(key, past, now)
    return past


def _remember(key: int, past: _Past | None, now: float) -> None:
    with _lock:
        _cache[key] = (now, past)
        _cache.move_to_end(key)
        if len(_cache) > _REMEMBERED:
            _cache.popitem(last=False)


def _key(features: Mapping[str, Any]) -> bytes:
    """One text for equal settings: 5, 5.0 and Decimal(5) are the same, and LoRAs are none."""
    plain = {name: _plain(value) for name, value in features.items() if not _LORA.search(name)}
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    number = as_number(value) if isinstance(value, int | float | Decimal) else None
    # As a text: JSON writes no whole number of more than 64 bits.
    return value if number is None else format_decimal(number)
