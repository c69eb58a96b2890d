"""GET /usage: sums that are the ledger's, by the client's clock, for nobody else."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.afterwards import correct, refund
from pricing.models import LedgerTransaction
from pricing.money import parse_usd
from tests.factories import make_model
from tests.pricing.ledger.books import CENT, make_client
from tests.pricing.money.used import use

pytestmark = pytest.mark.django_db(transaction=True)

NOVEMBER = "/api/v1/usage?from=2026-11-01&to=2026-11-30"


@pytest.fixture
def alice() -> Client:
    return make_client()


@pytest.fixture
def reader(alice: Client, make_key: Callable[..., str]) -> HttpClient:
    return HttpClient(headers={"Authorization": f"Bearer {make_key('usage:read', client='alice')}"})


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def lines(client: HttpClient, address: str) -> list[dict[str, Any]]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return answer.json()["items"]


def test_days_sum_the_jobs_that_ended_in_them(alice: Client, reader: HttpClient) -> None:
    use(alice, "job_1", at=at(3))
    use(alice, "job_2", at=at(3))
    use(alice, "job_3", outcome="failed", cost=0, at=at(4))

    assert [(line["day"], line["jobs"], line["succeeded"], line["failed"], line["charge"]) for line in
            lines(reader, NOVEMBER)] == [("2026-11-03", 2, 2, 0, "0.08"), ("2026-11-04", 1, 0, 1, "0")]  # fmt: skip


def test_a_day_is_one_of_the_clients_clock(alice: Client, reader: HttpClient) -> None:
    use(alice, "job_1", at=at(3, 23))
    Client.objects.update(timezone="Asia/Tokyo")

    assert [line["day"] for line in lines(reader, NOVEMBER)] == ["2026-11-04"]
    assert [line["day"] for line in lines(reader, NOVEMBER + "&timezone=UTC")] == ["2026-11-03"]


def test_the_hour_that_daylight_saving_repeats_is_of_one_day(alice: Client, reader: HttpClient) -> None:
    Client.objects.update(timezone="Europe/Berlin")
    for number, moment in enumerate(
        (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 22, 59, tzinfo=UTC))
    ):
        use(alice, f"job_{number}", at=moment)
    use(alice, "job_next", at=datetime(2026, 10, 25, 23, tzinfo=UTC))

    assert [line["jobs"] for line in lines(reader, "/api/v1/usage?from=2026-10-25&to=2026-10-25")] == [2]


def test_corrections_and_refunds_change_the_day_of_their_job(alice: Client, reader: HttpClient) -> None:
    use(alice, "job_1", charge=10 * CENT, at=at(3))
    correct("job_1", charge=7 * CENT, cost=2 * CENT, reference="bill", reason="the bill")
    refund("job_1", 2 * CENT, actor=SYSTEM, reason="sorry", reference="r")

    body = reader.get(NOVEMBER).json()
    assert [line["charge"] for line in body["items"]] == ["0.05"]
    assert body["total"]["charge"] == "0.05"


def test_the_total_is_what_the_ledger_has_spent(alice: Client, reader: HttpClient) -> None:
    for number in range(7):
        use(alice, f"job_{number}", charge=number * CENT + 1, at=at(1 + number))
    correct("job_3", charge=CENT, cost=CENT, reference="bill", reason="the bill")

    total = reader.get(NOVEMBER + "&group_by=model").json()["total"]["charge"]
    assert parse_usd(total) == sum(LedgerTransaction.objects.values_list("spent", flat=True))


def test_models_keys_and_outcomes_group_too(alice: Client, reader: HttpClient) -> None:
    key, _ = create_key(alice, actor=SYSTEM, name="mine")
    veo = make_model("fal-ai/veo", category="text-to-video", media_type="video")
    use(alice, "job_1", at=at(3), key_id=key.pk)
    use(alice, "job_2", at=at(4), model=veo)

    by_model = lines(reader, NOVEMBER + "&group_by=model,category")
    assert [(line["model"], line["provider"], line["category"]) for line in by_model] == [
        ("fal-ai/flux/dev", "fal", "text-to-image"), ("fal-ai/veo", "fal", "text-to-video"),
    ]  # fmt: skip
    by_key = lines(reader, NOVEMBER + "&group_by=key")
    assert {line["key"] for line in by_key} == {key.public_id, None}
    assert lines(reader, NOVEMBER + "&group_by=outcome")[0]["jobs"] == 2


def test_another_clients_usage_is_not_in_it(alice: Client, reader: HttpClient) -> None:
    use(make_client("bob"), "job_1", at=at(3))

    assert lines(reader, NOVEMBER) == []


def test_costs_are_for_the_scope_admin_alone(alice: Client, reader: HttpClient, admin_api: HttpClient) -> None:
    use(alice, "job_1", at=at(3), cost=CENT)

    assert "cost" not in lines(reader, NOVEMBER)[0]
    assert lines(admin_api, NOVEMBER + "&client=alice")[0]["cost"] == "0.01"


@pytest.mark.once
def test_in_core_mode_everybody_sees_the_costs(alice: Client, reader: HttpClient, settings: Any) -> None:
    use(alice, "job_1", at=at(3), cost=CENT)
    settings.GENFEED_MODE = "core"

    assert lines(reader, NOVEMBER)[0]["cost"] == "0.01"


def test_the_daily_cost_of_everybody_is_one_question(alice: Client, admin_api: HttpClient) -> None:
    use(alice, "job_1", at=at(3), cost=CENT)
    use(make_client("bob"), "job_2", at=at(3), cost=2 * CENT)

    assert [line["cost"] for line in lines(admin_api, NOVEMBER + "&client=*")] == ["0.03"]
    by_client = lines(admin_api, NOVEMBER + "&client=*&group_by=client")
    assert [(line["client"], line["cost"]) for line in by_client] == [("alice", "0.01"), ("bob", "0.02")]


def test_pages_follow_each_other_without_gap(alice: Client, reader: HttpClient) -> None:
    for number in range(5):
        use(alice, f"job_{number}", at=at(1 + number))

    address, days = NOVEMBER + "&limit=2", []
    body = reader.get(address).json()
    while True:
        days += [line["day"] for line in body["items"]]
        assert body["total"]["jobs"] == 5
        if body["next_cursor"] is None:
            break
        body = reader.get(f"{address}&cursor={body['next_cursor']}").json()
    assert days == [f"2026-11-0{number}" for number in range(1, 6)]


@pytest.mark.once
@pytest.mark.parametrize("asked", ["csv by header", "csv by parameter"])
def test_csv_has_a_line_a_group_and_no_cell_that_runs(alice: Client, reader: HttpClient, asked: str) -> None:
    key, _ = create_key(alice, actor=SYSTEM, name="=cmd()|x")
    use(alice, "job_1", at=at(3), key_id=key.pk)

    address = NOVEMBER + "&group_by=key" + ("&format=csv" if asked == "csv by parameter" else "")
    answer = reader.get(address, headers={"Accept": "text/csv"} if asked == "csv by header" else {})

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.content.decode() == (
        "key,key_prefix,key_name,jobs,succeeded,failed,canceled,charge_usd\r\n"
        f"{key.public_id},{key.prefix},'=cmd()|x,1,1,0,0,0.04\r\n"
    )


@pytest.mark.once
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=2026-13-01", "no day"),
        ("from=yesterday", "no day"),
        ("from=0001-01-01", "no day"),
        ("from=2026-11-05&to=2026-11-04", "after"),
        ("from=2025-01-01&to=2026-11-04", "400 days"),
        ("group_by=weather", "no 'weather'"),
        ("group_by=client", "no 'client'"),
        ("group_by=day,day", "each once"),
        ("group_by=", "no ''"),
        ("timezone=Moon", "no time zone"),
        ("timezone=../../etc/passwd", "no time zone"),
        ("client=bob", "scope admin"),
        ("cursor=abc", "cursor"),
        ("limit=0", "limit"),
        ("format=xml", "format"),
        ("fromm=2026-11-01", "fromm"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(reader: HttpClient, query: str, words: str) -> None:
    answer = reader.get(f"/api/v1/usage?{query}")

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_request"
    assert words in answer.json()["message"]
    assert answer.json()["hint"]


@pytest.mark.once
def test_a_key_without_the_scope_is_refused(api: HttpClient) -> None:
    assert api.get("/api/v1/usage").status_code == 403


def test_the_number_of_queries_does_not_grow_with_the_jobs(alice: Client, reader: HttpClient) -> None:
    counts = []
    for number in range(2):
        for job in range(1 + 5 * number):
            use(alice, f"job_{number}_{job}", at=at(1 + job))
        with CaptureQueriesContext(connection) as queries:
            reader.get(NOVEMBER)
        counts.append(len(queries))
    assert counts[0] >= counts[1]
