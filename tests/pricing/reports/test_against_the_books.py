"""Reports equal a computation of their own, row by row from usage records and ledger, whatever is asked."""

from __future__ import annotations

import csv
import io
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.models import LedgerTransaction, UsageRecord
from pricing.models.reports import BOUNDS, BUCKETS, SUMS
from pricing.money import to_usd
from pricing.reports.answers import groups_of, total_of
from pricing.reports.counting import counts_of, units_of
from pricing.reports.questions import Question
from pricing.reports.rollups import rebuild, roll_up
from tests import kept_rows
from tests.factories import make_model, publish_now
from tests.pricing.ledger.books import make_client
from tests.pricing.reports.past import ended, later

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FEATURES = (
    {},
    {"resolution": "1080p", "audio": True},
    {"duration": 5, "loras": 2},
    {"image_size": {"width": 8, "height": 9}},
)
REPORT = "/admin/pricing/usagerecord/profitability/"


@dataclass
class Line:
    """A job by this test's own reckoning."""

    model: int
    client: int | None
    category: str
    provider: str
    day: date
    sums: dict[str, int]
    names: list[tuple[str, str]]
    unit: tuple[str, Decimal]


def reckon() -> list[Line]:
    """Every job, from the rows of the two tables, in plain Python."""
    booked: dict[str, list[LedgerTransaction]] = {}
    for row in LedgerTransaction.objects.all():
        booked.setdefault(row.job, []).append(row)
    lines = []
    for record in UsageRecord.objects.select_related("model__provider"):
        sums = dict.fromkeys(SUMS, 0)
        after = [row for row in booked.get(record.job, []) if row.kind in ("correction", "refund", "write_off")]
        cost = record.cost + sum(row.cost for row in after)
        sums |= {
            "jobs": 1, record.outcome: 1, "cached": int(record.is_cached), "cost": cost,
            "revenue": record.charge + sum(row.spent for row in after),
            "refunds": -sum(row.spent for row in after if row.kind == "refund"),
            "write_offs": sum(row.cost for row in after if row.kind == "write_off"),
            "loss": sum(row.loss for row in booked.get(record.job, [])),
        }  # fmt: skip
        billed = record.cost_source in ("billing_event", "billable_units")
        if record.outcome == "succeeded" and billed and not record.is_cached and record.quoted_cost is not None:
            off = abs(cost - record.quoted_cost)
            sums |= {"quoted_jobs": 1, "quoted_cost": record.quoted_cost, "quoted_bill": cost, "quoted_off": off}
        if record.seconds is not None and not record.is_cached:
            sums |= {"timed": 1, "milliseconds": int(1000 * record.seconds + 0.5)}
            sums[BUCKETS[bisect_left(BOUNDS, record.seconds)]] += 1
        names = [("feature", name) for name in named(record.features)]
        names += [("error", record.error_code or "unknown")] if record.outcome == "failed" else []
        lines.append(
            Line(
                record.model_id, record.client_id, record.model.category, record.model.provider.slug,
                record.created_at.astimezone(UTC).date(), sums, names, (record.unit or "-", Decimal(record.units or 0)),
            )
        )  # fmt: skip
    return lines


def named(features: dict[str, Any]) -> Iterator[str]:
    for name, value in features.items():
        size = isinstance(value, dict)
        yield name if value is True else f"{name}={value['width']}×{value['height']}" if size else f"{name}={value}"


def asked_for(line: Line, asked: Question) -> bool:
    return (
        asked.first <= line.day <= asked.last
        and asked.provider in ("", line.provider)
        and asked.category in ("", line.category)
        and asked.model_id in (None, line.model)
        and asked.client_id in (None, line.client)
    )


def added(lines: list[Line]) -> dict[str, int]:
    return {name: sum(line.sums[name] for line in lines) for name in SUMS}


def make_books(seed: int, *, until: datetime = NOW) -> list[UsageRecord]:
    """300 jobs in 130 days, many of them right before and after midnight UTC, and what became of them."""
    dice = random.Random(seed)
    models = [
        make_model(f"{provider}/m{number}", provider=provider, category=category)
        for provider in ("fal", "replicate")
        for number, category in enumerate(("text-to-image", "text-to-video", "text-to-image", ""))
    ]
    clients = [make_client(f"c{number}", usd=0) for number in range(3)]
    records = []
    for _ in range(300):
        midnight = until.replace(hour=0) - timedelta(days=dice.randrange(130))
        at = dice.choice(
            (midnight, midnight - timedelta(microseconds=1), midnight + SECOND, midnight - 7 * 3600 * SECOND)
        )
        outcome = dice.choice(("succeeded", "succeeded", "succeeded", "failed", "canceled"))
        records.append(
            ended(
                dice.choice(models), dice.choice([*clients, None]), at, outcome=outcome,
                charge=dice.randrange(10**9) if outcome == "succeeded" else 0, cost=dice.randrange(10**9),
                error_code=dice.choice(("timeout", "")) if outcome == "failed" else "",
                seconds=dice.choice((None, 0.1, 0.0005, dice.lognormvariate(2, 2), 9999.0)),
                is_cached=dice.random() < 0.2, loss=dice.choice((0, 0, 7)),
                quoted_cost=dice.choice((None, dice.randrange(10**9))),
                cost_source=dice.choice(("billing_event", "billable_units", "estimated", "none")),
                unit=dice.choice(("", "images", "seconds")), units=dice.choice(("", "1", "0.1", "12.00000000001")),
                features=dice.choice(FEATURES),
            )
        )  # fmt: skip
    return records


def change_books(records: list[UsageRecord], seed: int) -> None:
    """Refunds, corrections and write-offs, of jobs of any age."""
    dice = random.Random(seed)
    for record in dice.sample([one for one in records if one.client_id], 60):
        for kind in dice.sample(("refund", "correction", "write_off"), dice.randint(1, 3)):
            spent = 0 if kind == "write_off" else dice.randint(-(10**8), 10**8)
            cost = 0 if kind == "refund" else dice.randint(-(10**8), 10**8)
            later(record, kind, NOW, spent=spent, cost=cost, loss=-3 if kind == "write_off" else 0)


PERIODS = {
    "a day": (date(2026, 11, 23), date(2026, 11, 23)),
    "two weeks": (date(2026, 10, 25), date(2026, 11, 8)),
    "whole months": (date(2026, 9, 1), date(2026, 10, 31)),
    "parts of months": (date(2026, 8, 20), date(2026, 11, 3)),
    "a long time": (date(2026, 7, 3), date(2026, 11, 24)),
}


@pytest.fixture
def lines(db: None) -> list[Line]:
    """Rolled up bit by bit, as it happened: once, the rows kept for the tests that follow."""

    def happen() -> None:
        records = make_books(1)
        roll_up(now=NOW - timedelta(hours=3))
        change_books(records, 2)
        roll_up(now=NOW)

    kept_rows.once(("books of reports",), happen)
    return reckon()


def questions(first: date, last: date) -> Iterator[Question]:
    model, client = AIModel.objects.get(endpoint_id="fal/m0").pk, Client.objects.get(name="c1").pk
    for provider in ("", "fal"):
        for category in ("", "text-to-image"):
            for model_id in (None, model):
                for client_id in (None, client):
                    yield Question(first, last, provider, category, model_id, client_id)
    yield Question(first, last, provider="replicate", model_id=model)


@pytest.mark.parametrize("by", ["model", "client", "category", "provider", "day"])
def test_every_sum_by_everything_under_every_filter_is_that_of_the_books(lines: list[Line], by: str) -> None:
    for asked in (one for period in PERIODS.values() for one in questions(*period)):
        wanted: dict[Any, list[Line]] = {}
        for line in lines:
            if asked_for(line, asked):
                key = getattr(line, by)
                wanted.setdefault(key.replace(day=1) if by == "day" and asked.by_months else key, []).append(line)
        found = {
            one.key: {name: getattr(one.figures, name) for name in SUMS}
            for one in groups_of(asked, by)
            if one.figures.jobs
        }
        assert found == {key: added(group) for key, group in wanted.items()}, asked


def test_every_total_under_every_filter_is_that_of_the_books(lines: list[Line]) -> None:
    for asked in (one for period in PERIODS.values() for one in questions(*period)):
        whole = total_of(asked)
        left = added([line for line in lines if asked_for(line, asked)])
        assert {name: getattr(whole, name) for name in SUMS} == left, asked


@pytest.mark.parametrize("period", PERIODS)
def test_errors_features_and_units_are_those_of_the_records(lines: list[Line], period: str) -> None:
    for asked in questions(*PERIODS[period]):
        left = [line for line in lines if asked_for(line, asked)]
        counts = Counter(name for line in left for name in line.names)
        errors, features = counts_of(asked)
        found = {("error", name): n for name, n in errors} | {("feature", name): n for name, n in features}
        assert found == counts, asked
    units: dict[int, dict[str, Decimal]] = {}
    asked = Question(*PERIODS[period])
    for line in (line for line in lines if asked_for(line, asked) and line.unit[1]):
        of_model = units.setdefault(line.model, {})
        of_model[line.unit[0]] = of_model.get(line.unit[0], Decimal(0)) + line.unit[1]
    told = units_of(asked, [line.model for line in lines])
    assert {key: {unit: Decimal(n) for unit, n in some.items()} for key, some in told.items() if some} == units


def test_what_is_rebuilt_is_what_was_added_up_bit_by_bit(lines: list[Line]) -> None:
    def told() -> list[Any]:
        return [
            sorted((str(one.key), sorted(one.figures.sums.items())) for one in groups_of(asked, by))
            for asked in questions(*PERIODS["parts of months"])
            for by in ("model", "client", "day")
        ]

    before = told()
    rebuild(now=NOW)
    assert told() == before


def test_a_month_that_ends_is_kept_by_pairs_and_tells_the_same() -> None:
    model, client = make_model(), make_client()
    asked = Question(date(2026, 9, 1), date(2026, 11, 30), model_id=model.pk, client_id=client.pk)
    for month in (9, 10, 11):
        ended(model, client, datetime(2026, month, 5, tzinfo=UTC))
    for now in (datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 1, 1, tzinfo=UTC), NOW):
        roll_up(now=now)
        assert total_of(asked).jobs == 3


def test_a_model_in_another_category_takes_its_past_along() -> None:
    model, client = make_model(category="text-to-image"), make_client()
    ended(model, client, NOW - timedelta(days=40), features={"audio": True})
    roll_up(now=NOW)
    AIModel.objects.filter(pk=model.pk).update(category="text-to-video")
    roll_up(now=NOW)
    asked = Question(date(2026, 9, 1), date(2026, 11, 30), category="text-to-video", client_id=client.pk)
    assert (total_of(asked).jobs, counts_of(asked)[1]) == (1, [("audio", 1)])


# The sums are those of the tests above: of one group and of days PostgreSQL shows that they go out as well.
@pytest.mark.parametrize(
    "by",
    ["model", "day", *(pytest.param(by, marks=pytest.mark.once) for by in ("client", "category", "provider"))],
)
def test_the_csv_and_the_api_say_what_the_books_say(
    lines: list[Line], staff: Callable[[str], HttpClient], admin_api: HttpClient, by: str
) -> None:
    publish_now()
    viewer = staff("viewer")
    for narrowed in ("", "category=text-to-image", "provider=fal", "model=fal/m0"):
        _check_csv_and_api(lines, viewer, admin_api, by, narrowed)


def _check_csv_and_api(lines: list[Line], viewer: HttpClient, admin_api: HttpClient, by: str, narrowed: str) -> None:
    first, last = PERIODS["parts of months"]
    name, _, value = narrowed.partition("=")
    asked = Question(
        first, last, category=value if name == "category" else "", provider=value if name == "provider" else "",
        model_id=AIModel.objects.get(endpoint_id=value).pk if name == "model" else None,
    )  # fmt: skip
    left = added([line for line in lines if asked_for(line, asked)])
    answer = viewer.get(f"{REPORT}groups.csv?period=days&first={first}&last={last}&by={by}&{narrowed}")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    stats = admin_api.get(f"/api/v1/admin/stats?from={first}&to={last}&group_by={by}&limit=2000&{narrowed}").json()
    for column in ("revenue", "cost", "refunds", "write_offs", "loss"):
        summed = sum(Decimal(row[f"{column}_usd"]) for row in rows)
        assert summed == to_usd(left[column]), narrowed
        assert Decimal(stats["total"][column]) == summed, narrowed
        assert sum(Decimal(item[column]) for item in stats["items"]) == summed, narrowed
    assert sum(int(row["jobs"]) for row in rows) == stats["total"]["jobs"] == left["jobs"], narrowed
