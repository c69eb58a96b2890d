"""Rollups are the sums of usage records and ledger, however they came to be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Sum
from django_q.models import Schedule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from pricing import tasks
from pricing.models import (
    ClientDay,
    ClientMonth,
    CountDay,
    LedgerTransaction,
    ModelDay,
    ModelMonth,
    RollupState,
    UsageRecord,
)
from pricing.models.reports import BUCKETS, SUMS
from pricing.reports.rollups import rebuild, roll_up
from tests.examples import examples
from tests.factories import make_model
from tests.pricing.ledger.books import CENT, make_client
from tests.pricing.reports.past import NOON, ended, later

GRAINS: tuple[Any, ...] = (ModelDay, ClientDay, ModelMonth, ClientMonth)
DAY = timedelta(days=1)


def everything() -> dict[str, list[Any]]:
    """All rollups as comparable rows."""
    found: dict[str, list[Any]] = {}
    for grain in (*GRAINS, CountDay):
        columns = [column.attname for column in grain._meta.concrete_fields if column.name != "id"]
        found[grain.__name__] = sorted(map(str, grain.objects.values_list(*columns)))
    return found


def raw() -> dict[str, int]:
    """Sums straight from the two tables, by the database alone."""
    records = UsageRecord.objects.aggregate(charge=Sum("charge"), cost=Sum("cost"))
    after = LedgerTransaction.objects.filter(
        kind__in=["correction", "refund", "write_off"], job__in=UsageRecord.objects.values("job")
    )
    moved = after.aggregate(spent=Sum("spent"), cost=Sum("cost"))
    ours = LedgerTransaction.objects.filter(job__in=UsageRecord.objects.values("job"))
    return {
        "jobs": UsageRecord.objects.count(),
        "failed": UsageRecord.objects.filter(outcome="failed").count(),
        "revenue": (records["charge"] or 0) + (moved["spent"] or 0),
        "cost": (records["cost"] or 0) + (moved["cost"] or 0),
        "refunds": -(after.filter(kind="refund").aggregate(n=Sum("spent"))["n"] or 0),
        "write_offs": after.filter(kind="write_off").aggregate(n=Sum("cost"))["n"] or 0,
        "loss": ours.aggregate(n=Sum("loss"))["n"] or 0,
        "timed": UsageRecord.objects.filter(is_cached=False).exclude(seconds=None).count(),
    }


def rolled(grain: Any) -> dict[str, int]:
    names = ("jobs", "failed", "revenue", "cost", "refunds", "write_offs", "loss", "timed")
    found = grain.objects.aggregate(**{f"sum_{name}": Sum(name) for name in names})
    return {name: found[f"sum_{name}"] or 0 for name in names}


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """Jobs, what the ledger says of them later, and runs of the rollup in between, in any order."""
    job = st.fixed_dictionaries(
        {
            "model": st.integers(0, 2), "client": st.integers(0, 2), "day": st.integers(-40, 0),
            "charge": st.integers(0, 10**9), "cost": st.integers(0, 10**9), "loss": st.sampled_from([0, 0, 5]),
            "outcome": st.sampled_from(["succeeded", "succeeded", "failed", "canceled"]),
            "error_code": st.sampled_from(["timeout", "provider_error"]),
            "seconds": st.one_of(st.none(), st.floats(0, 10_000)), "is_cached": st.booleans(),
            "quoted_cost": st.one_of(st.none(), st.integers(0, 10**9)),
            "resolution": st.sampled_from(["720p", "1080p"]),
        }
    )  # fmt: skip
    change = st.fixed_dictionaries(
        {
            "which": st.integers(0, 30), "kind": st.sampled_from(["correction", "refund", "write_off"]),
            "spent": st.integers(-(10**9), 10**9), "cost": st.integers(-(10**9), 10**9), "day": st.integers(-40, 0),
        }
    )  # fmt: skip
    steps = st.one_of(
        st.tuples(st.just("job"), job), st.tuples(st.just("change"), change), st.tuples(st.just("roll"), st.just({}))
    )
    return draw(st.lists(steps, max_size=25))


class AnyHistory(TestCase):
    @settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
    @given(history=histories())
    def test_whatever_happened_in_whatever_order_incremental_equals_rebuilt_equals_raw(self, history: Any) -> None:
        models = [make_model(f"fal-ai/m{number}") for number in range(3)]
        clients = [make_client(f"c{number}", usd=0) for number in range(3)]
        records = []
        for kind, what in history:
            values = dict(what)
            if kind == "roll":
                roll_up(now=NOON)
                continue
            at = NOON + values.pop("day") * DAY
            if kind == "job":
                model, client = models[values.pop("model")], clients[values.pop("client")]
                values["features"] = {"resolution": values.pop("resolution")}
                if values["outcome"] != "succeeded":
                    values["charge"] = 0
                if values["outcome"] != "failed":
                    values["error_code"] = ""
                records.append(ended(model, client, at, **values))
            elif records:
                record = records[values.pop("which") % len(records)]
                spent = 0 if values["kind"] == "write_off" else values["spent"]
                later(record, values["kind"], at, spent=spent, cost=values["cost"])
        roll_up(now=NOON)
        incremental = everything()
        rebuild(now=NOON)
        assert everything() == incremental
        for grain in GRAINS:
            assert rolled(grain) == raw()
        whole = {name: Sum(name) for name in BUCKETS}
        assert sum(ModelMonth.objects.aggregate(**whole)[name] or 0 for name in BUCKETS) == raw()["timed"]


pytestmark = pytest.mark.django_db


def test_a_late_correction_moves_the_day_of_its_job() -> None:
    record = ended(make_model(), make_client(), NOON - 20 * DAY)
    roll_up(now=NOON - 19 * DAY)
    later(record, "correction", NOON, spent=-CENT, cost=CENT)
    roll_up(now=NOON)
    row = ModelDay.objects.get()
    assert (row.start, row.revenue, row.cost) == ((NOON - 20 * DAY).date(), 3 * CENT, 2 * CENT)


def test_a_refund_lowers_revenue_and_stands_beside_it() -> None:
    record = ended(make_model(), make_client())
    later(record, "refund", NOON, spent=-CENT)
    roll_up(now=NOON)
    row = ClientDay.objects.get()
    assert (row.revenue, row.refunds) == (3 * CENT, CENT)


def test_a_row_that_committed_late_with_a_lower_id_is_still_counted() -> None:
    model, client = make_model(), make_client()
    ended(model, client)
    roll_up(now=NOON)
    # As if the run had seen a higher id than that of a record whose transaction was still open.
    ended(model, client, NOON - timedelta(minutes=10))
    RollupState.objects.update(usage_id=10**9, ledger_id=10**9)
    roll_up(now=NOON)
    assert ModelDay.objects.get().jobs == 2


def test_only_days_with_something_new_are_made_anew() -> None:
    model, client = make_model(), make_client()
    ended(model, client, NOON - 5 * DAY)
    ended(model, client, NOON - 3 * DAY)
    assert roll_up(now=NOON) == 2
    ended(model, client, NOON - 3 * DAY)
    assert roll_up(now=NOON) == 1


def test_days_begin_at_midnight_utc() -> None:
    model, client = make_model(), make_client()
    ended(model, client, datetime(2026, 11, 9, 23, 59, 59, tzinfo=UTC))
    ended(model, client, datetime(2026, 11, 10, tzinfo=UTC))
    roll_up(now=NOON)
    assert list(ModelDay.objects.order_by("start").values_list("start", "jobs")) == [
        (date(2026, 11, 9), 1), (date(2026, 11, 10), 1),
    ]  # fmt: skip


def test_a_month_is_the_sum_of_its_days_in_every_column() -> None:
    model, client = make_model(), make_client()
    for number in range(5):
        ended(model, client, NOON - number * DAY, seconds=2.0**number)
    roll_up(now=NOON)
    sums = {f"sum_{name}": Sum(name) for name in SUMS}
    assert ModelMonth.objects.aggregate(**sums) == ModelDay.objects.aggregate(**sums)


def test_units_are_added_up_exactly_by_unit() -> None:
    model, client = make_model(), make_client()
    ended(model, client, unit="seconds", units="0.1")
    ended(model, client, unit="seconds", units="0.2")
    ended(model, client, unit="images", units="3")
    roll_up(now=NOON)
    assert ModelDay.objects.get().units == {"images": "3", "seconds": "0.3"}


def test_errors_and_features_are_counted_by_name() -> None:
    model, client = make_model(), make_client()
    ended(model, client, outcome="failed", charge=0, cost=0, cost_source="none", error_code="timeout")
    ended(model, client, features={"resolution": "1080p", "audio": True, "turbo": False})
    roll_up(now=NOON)
    assert set(CountDay.objects.values_list("kind", "name", "jobs")) == {
        ("error", "timeout", 1), ("feature", "resolution=1080p", 1), ("feature", "audio", 1),
    }  # fmt: skip


def test_a_cache_hit_says_nothing_about_latency() -> None:
    ended(make_model(), make_client(), is_cached=True, cost=0, cost_source="none", seconds=0.01)
    roll_up(now=NOON)
    row = ModelDay.objects.get()
    assert (row.cached, row.timed) == (1, 0)


def test_jobs_of_no_client_count_for_their_model() -> None:
    ended(make_model(), None, charge=0)
    roll_up(now=NOON)
    assert ModelDay.objects.get().cost == CENT
    assert ClientDay.objects.get().client is None


def test_the_command_rebuilds_what_was_tampered_with() -> None:
    ended(make_model(), make_client())
    roll_up(now=NOON)
    good = everything()
    ModelDay.objects.update(revenue=1, start=date(2020, 1, 1))
    ModelMonth.objects.update(revenue=1)
    call_command("rebuild_rollups", stdout=StringIO())
    assert everything() == good


def test_the_worker_rolls_up_every_five_minutes() -> None:
    schedule = Schedule.objects.get(func="pricing.tasks.roll_up_usage")
    assert (schedule.schedule_type, schedule.minutes, schedule.repeats) == ("I", 5, -1)
    ended(make_model(), make_client())
    assert tasks.roll_up_usage() == 1
