"""GET /balance and GET|PUT /budgets: what a client sees of its money, and the limits that it sets itself."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent, OutboxEvent
from pricing.budgets.setting import Draft, add_budget
from pricing.models import Account, Budget, BudgetPeriod
from tests.factories import make_model, publish_now
from tests.pricing.ledger.books import CENT, USD, end, hold, make_client

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> Client:
    make_model()
    publish_now()
    return make_client()


@pytest.fixture
def own(alice: Client, make_key: Callable[..., str]) -> HttpClient:
    key = make_key("usage:read", "budgets", client="alice")
    return HttpClient(headers={"Authorization": f"Bearer {key}"})


def put(client: HttpClient, *budgets: Any) -> HttpResponse:
    return client.put("/api/v1/budgets", {"budgets": list(budgets)}, content_type="application/json")


DAY = {"period": "day", "limit": "5"}


def test_the_balance_is_what_the_ledger_says(alice: Client, own: HttpClient) -> None:
    hold(alice, "job_1", 2 * USD)
    hold(alice, "job_2", 2 * USD)
    end("job_2", charge=USD + 1)

    assert own.get("/api/v1/balance").json() == {
        "currency": "USD", "available": "6.999999999", "held": "2", "spent": "1.000000001", "funded": "10",
        "credit_line": "0", "usable": "6.999999999", "enforced": True, "open_jobs": 1, "funding": "prepaid",
        "billing": "metered", "low_balance": None,
    }  # fmt: skip


def test_looking_at_the_balance_opens_no_account(make_key: Callable[..., str]) -> None:
    client = HttpClient(headers={"Authorization": f"Bearer {make_key('usage:read', client='new')}"})

    assert client.get("/api/v1/balance").json()["available"] == "0"
    assert not Account.objects.exists()


def test_the_balance_is_one_row_whatever_the_ledger_holds(alice: Client, own: HttpClient) -> None:
    own.get("/api/v1/balance")
    with CaptureQueriesContext(connection) as queries:
        own.get("/api/v1/balance")

    statements = [query["sql"] for query in queries if "pricing_" in query["sql"]]
    assert len(statements) == 1
    assert "pricing_ledgertransaction" not in statements[0]
    assert "SCAN" not in Account.objects.filter(client=alice).explain()


@pytest.mark.once
@pytest.mark.django_db
def test_staff_is_told_where_balances_are(staff: Callable[[str], HttpClient]) -> None:
    answer = staff("finance").get("/api/v1/balance")

    assert answer.status_code == 403
    assert "admin" in answer.json()["hint"]


def test_what_was_put_is_what_is_got(alice: Client, own: HttpClient) -> None:
    key, _ = create_key(alice, actor=SYSTEM)
    wanted = [
        {"period": "day", "limit": "2.50", "hard": False, "thresholds": [90, 10]},
        {"period": "month", "limit": 20, "model": "fal-ai/flux/dev"},
        {"period": "total", "limit": "100", "category": "text-to-image", "key": key.public_id},
    ]
    answer = put(own, *wanted)

    assert answer.status_code == 200, answer.content
    items = own.get("/api/v1/budgets").json()["items"]
    assert items == answer.json()["items"]
    assert [(one["period"], one["limit"], one["model"], one["category"], one["key"]) for one in items] == [
        ("day", "2.5", None, None, None),
        ("month", "20", "fal-ai/flux/dev", None, None),
        ("total", "100", None, "text-to-image", key.public_id),
    ]
    assert (items[0]["hard"], items[0]["thresholds"], items[1]["hard"]) == (False, [10, 90], True)


def test_a_set_replaces_the_one_before(alice: Client, own: HttpClient) -> None:
    put(own, DAY, {"period": "total", "limit": "9"})
    put(own, {"period": "month", "limit": "7"})

    assert [one["period"] for one in own.get("/api/v1/budgets").json()["items"]] == ["month"]


def test_the_same_set_again_changes_nothing(alice: Client, own: HttpClient) -> None:
    first = put(own, DAY).json()
    events = AuditEvent.objects.count()

    assert put(own, DAY).json() == first
    assert AuditEvent.objects.count() == events


def test_a_budget_that_stays_keeps_what_it_has_counted(alice: Client, own: HttpClient) -> None:
    put(own, DAY)
    hold(alice, "job_1", USD)
    end("job_1", charge=USD)
    hold(alice, "job_2", USD)

    (item,) = put(own, DAY | {"limit": "3"}).json()["items"]
    assert (item["limit"], item["spent"], item["reserved"], item["left"]) == ("3", "1", "1", "1")


def test_a_budget_that_was_ended_and_set_again_goes_on_counting(alice: Client, own: HttpClient) -> None:
    put(own, DAY)
    hold(alice, "job_1", USD)
    end("job_1", charge=USD)
    put(own)

    assert put(own, DAY).json()["items"][0]["spent"] == "1"


def test_a_job_ends_well_after_its_budget_has_ended(alice: Client, own: HttpClient) -> None:
    put(own, DAY)
    hold(alice, "job_1", USD)
    put(own)
    end("job_1", charge=USD)

    assert BudgetPeriod.objects.get().reserved == 0
    assert own.get("/api/v1/budgets").json()["items"] == []


def test_it_stops_jobs_at_once(alice: Client, own: HttpClient) -> None:
    put(own, DAY | {"limit": "0.5"})

    with pytest.raises(ApiError) as refused:
        hold(alice, "job_1", USD)
    assert refused.value.code == "budget_exceeded"


def test_a_raised_limit_makes_thresholds_news_again(alice: Client, own: HttpClient) -> None:
    put(own, DAY | {"limit": "1"})
    hold(alice, "job_1", USD)
    end("job_1", charge=USD)
    put(own, DAY | {"limit": "4"})
    hold(alice, "job_2", USD)
    end("job_2", charge=USD)

    told = OutboxEvent.objects.filter(kind="budget.threshold_reached").order_by("pk")
    assert [event.payload["threshold"] for event in told] == [100, 50]


def test_the_operators_budgets_are_shown_and_stay(alice: Client, own: HttpClient) -> None:
    add_budget(alice.pk, Draft("day", 9 * USD), actor=SYSTEM, reason="a trial")

    put(own)

    (item,) = own.get("/api/v1/budgets").json()["items"]
    assert (item["origin"], item["limit"]) == ("operator", "9")


def test_another_clients_budgets_are_neither_shown_nor_touched(alice: Client, own: HttpClient) -> None:
    bob = make_client("bob")
    Budget.objects.create(client=bob, period="day", limit=CENT, origin="client")

    assert put(own).json()["items"] == []
    assert Budget.objects.get(client=bob).is_active is True


@pytest.mark.once
def test_who_set_a_budget_is_in_the_audit(alice: Client, own: HttpClient) -> None:
    put(own, DAY)
    put(own, DAY | {"limit": "6"})
    put(own)

    events = AuditEvent.objects.filter(action__startswith="budget.").order_by("pk")
    assert [(event.action, event.actor_name) for event in events] == [
        (f"budget.{action}", "API key default of alice") for action in ("added", "changed", "ended")
    ]
    assert (events[1].before, events[1].after) == ({"limit": "5"}, {"limit": "6"})


@pytest.mark.once
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"limit": "-1"}, "budgets.1.limit"),
        ({"limit": "NaN"}, "must be finite"),
        ({"limit": "Infinity"}, "must be finite"),
        ({"limit": "1e30"}, "budgets.1.limit"),
        ({"limit": "10000000.01"}, "0 to 10000000 USD"),
        ({"limit": "ten"}, "no number"),
        ({"limit": None}, "no number"),
        ({"limit": True}, "no number"),
        ({"limit": [1]}, "no number"),
        ({"period": "week"}, "budgets.1.period"),
        ({"period": "day"}, "two budgets for the same"),
        ({"model": "no/such"}, "budgets.1.model"),
        ({"category": "juggling"}, "no category"),
        ({"category": ""}, "category"),
        ({"model": "fal-ai/flux/dev", "category": "text-to-image"}, "not for both"),
        ({"key": "key_0123456789abcdef"}, "budgets.1.key"),
        ({"key": "FOREIGN"}, "budgets.1.key"),
        ({"thresholds": [0]}, "1 to 100"),
        ({"thresholds": [101]}, "1 to 100"),
        ({"thresholds": ["half"]}, "thresholds"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_set_with_one_that_makes_no_sense_is_refused_whole(
    alice: Client, own: HttpClient, wrong: dict[str, Any], words: str
) -> None:
    put(own, {"period": "total", "limit": "1"})
    if wrong.get("key") == "FOREIGN":
        wrong = {"key": create_key(Client.objects.create(name="bob"), actor=SYSTEM)[0].public_id}

    answer = put(own, DAY, {"period": "month", "limit": "7"} | wrong)

    assert answer.status_code == 400, answer.content
    body = answer.json()
    assert words in f"{body['message']} {body['details']}"
    assert body["hint"]
    assert [one["period"] for one in own.get("/api/v1/budgets").json()["items"]] == ["total"]


@pytest.mark.once
def test_more_than_a_hundred_are_refused(alice: Client, own: HttpClient) -> None:
    assert put(own, *[DAY] * 101).status_code == 400


@pytest.mark.once
def test_reading_needs_one_scope_and_writing_another(alice: Client, make_key: Callable[..., str]) -> None:
    reader = HttpClient(headers={"Authorization": f"Bearer {make_key('usage:read', client='alice')}"})

    assert reader.get("/api/v1/budgets").status_code == 200
    assert put(reader, DAY).status_code == 403
    assert not Budget.objects.exists()
