"""Budgets: reserved with the hold, spent with its end, told at thresholds, beginning anew by the client's clock."""

from datetime import UTC, datetime

import pytest

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, OutboxEvent
from pricing.budgets.periods import BEGINNING, period_at
from pricing.budgets.reserving import standing_of
from pricing.ledger.afterwards import correct, refund
from pricing.ledger.checking import check_ledger
from pricing.models import Budget, BudgetPeriod
from tests.factories import make_model
from tests.pricing.ledger.books import CENT, USD, balance, end, hold, make_client

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def budget(client: Client, limit: int = USD, period: str = "day", **more: object) -> Budget:
    return Budget.objects.create(client=client, limit=limit, period=period, **more)


def standing(one: Budget, now: datetime = NOON) -> tuple[int, int]:
    found = standing_of(one, now=now)
    return found.reserved, found.spent


def refused(client: Client, job: str = "job_9", **more: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        hold(client, job, **{"now": NOON, **more})  # type: ignore[arg-type]
    return caught.value


def test_a_hold_reserves_in_the_budget_and_its_end_spends() -> None:
    client = make_client()
    one = budget(client)

    hold(client, amount=60 * CENT, now=NOON)
    assert standing(one) == (60 * CENT, 0)

    end(charge=20 * CENT)
    assert standing(one) == (0, 20 * CENT)


def test_what_a_bill_or_a_refund_changes_later_counts_in_the_budget_of_its_job() -> None:
    client = make_client()
    one = budget(client, limit=10 * USD)
    hold(client, amount=4 * USD, now=NOON)
    end(charge=2 * USD, cost=USD)

    correct("job_1", charge=3 * USD, cost=USD, reference="event 1", reason="bill")
    assert standing(one) == (0, 3 * USD)
    refund("job_1", USD, actor=SYSTEM, reason="blurred", reference="ticket 7")
    assert standing(one) == (0, 2 * USD)


def test_a_release_gives_the_budget_back() -> None:
    client = make_client()
    one = budget(client)
    hold(client, now=NOON)

    end()

    assert standing(one) == (0, 0)


def test_a_request_over_a_hard_budget_is_refused_with_what_is_left_and_when_it_resets() -> None:
    client = make_client()
    one = budget(client)
    hold(client, amount=70 * CENT, now=NOON)

    error = refused(client, amount=40 * CENT)

    assert (error.code, error.status) == ("budget_exceeded", 402)
    assert error.details == {
        "budget": one.pk,
        "limit": "1",
        "spent": "0",
        "reserved": "0.7",
        "left": "0.3",
        "resets_at": "2026-11-26T00:00:00+00:00",
    }
    assert "daily budget" in error.message
    assert balance(client)[1] == 70 * CENT


def test_the_last_nano_of_a_budget_can_be_used() -> None:
    client = make_client()
    budget(client)

    hold(client, amount=USD, now=NOON)

    assert refused(client, amount=1).code == "budget_exceeded"


def test_a_refusal_by_one_budget_reserves_nothing_in_another() -> None:
    client = make_client()
    wide, narrow = budget(client, limit=5 * USD, period="month"), budget(client, limit=CENT)

    refused(client)

    assert (standing(wide), standing(narrow)) == ((0, 0), (0, 0))


def test_too_little_money_gives_the_budget_back() -> None:
    client = make_client(usd=0)
    one = budget(client)

    assert refused(client, amount=CENT).code == "insufficient_funds"
    assert standing(one) == (0, 0)


def test_a_soft_budget_only_tells() -> None:
    client = make_client()
    one = budget(client, limit=CENT, is_hard=False)
    hold(client, amount=USD, now=NOON)

    end(charge=USD)

    assert standing(one) == (0, USD)
    assert Alert.objects.filter(code="budget_threshold").exists()


def test_a_budget_that_is_switched_off_counts_nothing() -> None:
    client = make_client()
    budget(client, limit=0, is_active=False)

    hold(client, now=NOON)


def test_a_budget_of_nothing_refuses_everything_that_costs() -> None:
    client = make_client()
    budget(client, limit=0)

    assert refused(client, amount=1).code == "budget_exceeded"


def test_a_budget_of_a_key_counts_that_key_alone() -> None:
    client = make_client()
    key, _ = create_key(client, actor=SYSTEM)
    other, _ = create_key(client, actor=SYSTEM)
    budget(client, limit=0, key=key)

    hold(client, key_id=other.pk, now=NOON)
    hold(client, "job_2", key_id=None, now=NOON)

    assert refused(client, key_id=key.pk).code == "budget_exceeded"


def test_a_budget_of_a_model_counts_that_model_alone() -> None:
    client = make_client()
    dear = make_model("fal-ai/dear")
    budget(client, limit=0, model=dear)

    hold(client, now=NOON)

    assert "fal-ai/dear" in refused(client, model=dear).message


def test_a_budget_of_a_category_counts_that_category_alone() -> None:
    client = make_client()
    video = make_model("fal-ai/video", category="text-to-video")
    budget(client, limit=0, category="text-to-video")

    hold(client, now=NOON)

    assert refused(client, model=video).code == "budget_exceeded"


def test_another_client_s_budget_counts_nothing() -> None:
    budget(make_client("bob"), limit=0)

    hold(make_client("alice"), now=NOON)


def test_a_new_day_begins_with_a_full_budget() -> None:
    client = make_client()
    one = budget(client)
    hold(client, amount=USD, now=NOON)
    end(charge=USD)

    hold(client, "job_2", amount=USD, now=datetime(2026, 11, 26, 0, 0, tzinfo=UTC))

    assert standing(one) == (0, USD)


def test_a_job_that_ends_the_next_day_counts_for_the_day_it_was_accepted() -> None:
    client = make_client()
    one = budget(client)
    hold(client, amount=USD, now=NOON)

    end(charge=USD)

    assert BudgetPeriod.objects.get(budget=one).starts_at == datetime(2026, 11, 25, tzinfo=UTC)
    assert standing(one, datetime(2026, 11, 26, 12, tzinfo=UTC)) == (0, 0)


def test_a_limit_raised_in_the_middle_of_a_day_counts_at_once() -> None:
    client = make_client()
    one = budget(client)
    hold(client, amount=USD, now=NOON)
    Budget.objects.filter(pk=one.pk).update(limit=2 * USD)

    hold(client, "job_2", amount=USD, now=NOON)


def test_each_threshold_is_told_once_and_only_the_highest_that_was_reached() -> None:
    client = make_client()
    budget(client, limit=USD)

    for job, charge in (("job_1", 49), ("job_2", 1), ("job_3", 1), ("job_4", 40), ("job_5", 9)):
        hold(client, job, amount=charge * CENT, now=NOON)
        end(job, charge=charge * CENT)

    told = list(OutboxEvent.objects.order_by("pk").values_list("payload__threshold", "client_id"))
    assert told == [(50, client.pk), (80, client.pk), (100, client.pk)]


def test_reserved_money_reaches_no_threshold() -> None:
    client = make_client()
    budget(client)

    hold(client, amount=USD, now=NOON)

    assert not OutboxEvent.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize(
    ("period", "timezone", "moment", "starts", "ends"),
    [
        ("day", "UTC", "2026-11-25T12:00", "2026-11-25T00:00", "2026-11-26T00:00"),
        ("day", "Asia/Tokyo", "2026-11-25T15:00", "2026-11-25T15:00", "2026-11-26T15:00"),
        ("day", "America/New_York", "2026-11-25T03:00", "2026-11-24T05:00", "2026-11-25T05:00"),
        # Clocks go forward: a day of 23 hours; and back: one of 25.
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        # Clocks skip midnight itself.
        ("day", "America/Santiago", "2026-09-06T12:00", "2026-09-06T04:00", "2026-09-07T03:00"),
        # Midnight comes twice: the first one begins the day.
        ("day", "America/Havana", "2026-11-01T12:00", "2026-11-01T04:00", "2026-11-02T05:00"),
        ("month", "UTC", "2026-02-28T23:59", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("month", "UTC", "2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("month", "UTC", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", "Europe/Berlin", "2026-03-31T22:00", "2026-03-31T22:00", "2026-04-30T22:00"),
    ],
)
def test_a_period_begins_by_the_clients_clock(period: str, timezone: str, moment: str, starts: str, ends: str) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert period_at(period, at(moment), timezone) == (at(starts), at(ends))


@pytest.mark.once
def test_a_total_has_neither_beginning_nor_end() -> None:
    assert period_at("total", NOON, "Asia/Tokyo") == (BEGINNING, None)


@pytest.mark.once
def test_every_moment_of_a_year_falls_into_the_period_that_it_is_told() -> None:

    for zone in ("Europe/Berlin", "America/Santiago", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu"):
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        previous_end = None
        while moment.year == 2026:
            starts, ends = period_at("day", moment, zone)
            assert ends is not None
            assert starts <= moment < ends
            assert previous_end in (None, starts)
            previous_end = ends
            moment = ends


def test_what_budgets_reserved_is_proven_too() -> None:
    client = make_client()
    one = budget(client)
    hold(client, now=NOON)
    assert check_ledger() == []

    BudgetPeriod.objects.filter(budget=one).update(reserved=1)

    assert [found.invariant for found in check_ledger()] == ["M7"]
