"""Money reserved for jobs, settled, released: what the balance says at every step."""

import pytest
from django.db import IntegrityError, connection, transaction

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, AppendOnlyError, OutboxEvent
from pricing.ledger.checking import check_ledger
from pricing.ledger.posting import Movement, UnbalancedError, post
from pricing.models import Account, Hold, LedgerTransaction
from tests.pricing.ledger.books import CENT, USD, balance, end, hold, make_client

pytestmark = pytest.mark.django_db


def refused(*args: object, **more: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        hold(*args, **more)  # type: ignore[arg-type]
    return caught.value


def test_a_hold_moves_money_from_available_to_held() -> None:
    client = make_client(usd=10)

    hold(client, amount=3 * USD)

    assert balance(client) == (7 * USD, 3 * USD, 0, 10 * USD)


def test_a_settlement_charges_and_gives_the_rest_back() -> None:
    client = make_client(usd=10)
    hold(client, amount=3 * USD)

    ended = end(charge=2 * USD, cost=USD)

    assert (ended.held, ended.charge, ended.loss) == (3 * USD, 2 * USD, 0)
    assert balance(client) == (8 * USD, 0, 2 * USD, 10 * USD)


def test_a_release_gives_everything_back() -> None:
    client = make_client(usd=10)
    hold(client, amount=3 * USD)

    end()

    assert balance(client) == (10 * USD, 0, 0, 10 * USD)


def test_a_charge_never_exceeds_its_hold_and_the_rest_of_the_cost_is_our_loss() -> None:
    client = make_client(usd=10)
    hold(client, amount=USD)

    ended = end(charge=5 * USD, cost=3 * USD)

    assert (ended.charge, ended.loss) == (USD, 2 * USD)
    assert balance(client) == (9 * USD, 0, USD, 10 * USD)
    assert LedgerTransaction.objects.get(kind="settle").loss == 2 * USD
    assert Alert.objects.get(code="operator_loss").subject == "job_1"


def test_a_bill_beyond_its_hold_that_the_charge_still_covers_is_no_loss_and_alerts_nobody() -> None:
    client = make_client(usd=10)
    hold(client, amount=USD)

    ended = end(charge=5 * USD, cost=USD // 2)

    assert (ended.charge, ended.loss) == (USD, 0)
    assert not Alert.objects.exists()


def test_what_a_released_job_cost_all_the_same_is_our_loss() -> None:
    client = make_client()
    hold(client)

    end(cost=CENT)

    assert balance(client)[0] == 10 * USD
    assert LedgerTransaction.objects.get(kind="release").loss == CENT
    assert Alert.objects.filter(code="operator_loss").exists()


def test_too_little_money_is_refused_with_what_is_missing_and_nothing_is_written() -> None:
    client = make_client(usd=1)

    error = refused(client, amount=2 * USD)

    assert (error.code, error.status) == ("insufficient_funds", 402)
    assert error.details == {"needed": "2", "available": "1", "credit_line": "0", "held": "0"}
    assert balance(client) == (USD, 0, 0, USD)
    assert not Hold.objects.exists()


def test_the_last_nano_can_be_held_and_not_one_more() -> None:
    client = make_client(usd=1)

    hold(client, amount=USD)

    assert refused(client, "job_2", 1).code == "insufficient_funds"


def test_a_client_without_an_account_has_no_money() -> None:
    client = make_client(usd=0)
    Account.objects.filter(client=client).delete()

    assert refused(client).code == "insufficient_funds"


def test_a_postpaid_client_may_owe_up_to_its_credit_line() -> None:
    client = make_client(usd=0, funding="postpaid", credit_line=5 * USD)

    hold(client, amount=5 * USD)

    assert balance(client) == (-5 * USD, 5 * USD, 0, 0)
    assert refused(client, "job_2", 1).code == "insufficient_funds"


def test_in_core_mode_there_is_no_balance_to_run_out(settings: object) -> None:
    settings.GENFEED_MODE = "core"  # type: ignore[attr-defined]
    client = make_client(usd=0)

    hold(client, amount=5 * USD)
    end(charge=4 * USD, cost=4 * USD)

    assert balance(client) == (-4 * USD, 0, 4 * USD, 0)
    assert check_ledger() == []


def test_a_hold_of_nothing_is_a_hold() -> None:
    client = make_client(usd=0)

    hold(client, amount=0)

    assert Account.objects.get(client=client).open_holds == 1


def test_a_negative_hold_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="negative"):
        hold(make_client(), amount=-1)


@pytest.mark.parametrize(("charge", "cost"), [(-1, 0), (0, -1)])
def test_a_negative_charge_or_cost_is_a_mistake_of_the_caller(charge: int, cost: int) -> None:
    client = make_client()
    hold(client)

    with pytest.raises(ValueError, match="negative"):
        end(charge=charge, cost=cost)

    assert balance(client)[1] == USD


def test_one_job_holds_once() -> None:
    client = make_client()
    hold(client)

    with pytest.raises(IntegrityError), transaction.atomic():
        hold(client)

    assert balance(client) == (9 * USD, USD, 0, 10 * USD)


def test_a_full_queue_refuses_with_when_to_come_back() -> None:
    client = make_client()
    hold(client, "job_1", max_in_flight=1, max_queued=1)
    hold(client, "job_2", max_in_flight=1, max_queued=1)

    error = refused(client, "job_3", max_in_flight=1, max_queued=1)

    assert (error.code, error.status, error.retry_after) == ("queue_full", 429, 5)


def test_without_a_queue_only_jobs_in_flight_count() -> None:
    client = make_client()
    hold(client, "job_1", max_in_flight=1, max_queued=0)

    assert refused(client, "job_2", max_in_flight=1, max_queued=0).code == "too_many_in_flight"


def test_an_ended_job_makes_room() -> None:
    client = make_client()
    hold(client, "job_1", max_in_flight=1, max_queued=0)
    end("job_1", charge=1)

    hold(client, "job_2", max_in_flight=1, max_queued=0)

    assert Account.objects.get(client=client).open_holds == 1


def test_m1_every_ledger_transaction_sums_to_zero() -> None:
    client = make_client()
    account = Account.objects.get(client=client)

    with pytest.raises(UnbalancedError), transaction.atomic():
        post(account.pk, Movement("hold", available=-1), actor=SYSTEM)
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerTransaction.objects.create(account=account, kind="hold", available=-1, held=2)


def test_m2_the_database_refuses_an_account_that_does_not_add_up() -> None:
    client = make_client()

    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.filter(client=client).update(available=1)


def test_m2_available_held_and_spent_are_what_was_funded_at_every_step() -> None:
    client = make_client(usd=10)
    steps = [
        lambda: hold(client),
        lambda: end(charge=CENT, cost=1),
        lambda: hold(client, "job_2"),
        lambda: end("job_2"),
    ]

    for step in steps:
        step()
        available, held, spent, funded = balance(client)
        assert available + held + spent == funded == 10 * USD


@pytest.mark.parametrize("order", [["settle", "release"], ["release", "settle"], ["settle", "settle"], ["release"] * 3])
def test_m3_a_job_ends_once_whatever_arrives_how_often(order: list[str]) -> None:
    client = make_client(usd=10)
    hold(client, amount=3 * USD)

    results = [end(charge=2 * USD, cost=USD) if one == "settle" else end() for one in order]

    assert [one is not None for one in results] == [True] + [False] * (len(order) - 1)
    assert balance(client)[2] == (2 * USD if order[0] == "settle" else 0)
    assert LedgerTransaction.objects.filter(kind__in=["settle", "release"]).count() == 1


def test_m3_the_database_refuses_a_second_end() -> None:
    client = make_client()
    hold(client)
    end(charge=1)

    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerTransaction.objects.create(account=Account.objects.get(client=client), kind="release", job="job_1")


def test_the_end_of_an_unknown_job_is_an_error() -> None:
    with pytest.raises(Hold.DoesNotExist):
        end("job_none", charge=1)


def test_m6_reading_changes_nothing() -> None:
    client = make_client()
    hold(client)
    before = balance(client)

    for _ in range(1000):
        balance(client)

    assert balance(client) == before


def test_m10_a_store_error_lets_nothing_pass() -> None:
    client = make_client(usd=10)
    with connection.cursor() as cursor:
        name = LedgerTransaction._meta.db_table
        if connection.vendor == "sqlite":
            cursor.execute(
                f"CREATE TRIGGER broken BEFORE INSERT ON {name} BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
            )
        else:
            cursor.execute(
                "CREATE FUNCTION fail() RETURNS trigger AS "
                "$$ BEGIN RAISE EXCEPTION 'disk is full'; END $$ LANGUAGE plpgsql"
            )
            cursor.execute(f"CREATE TRIGGER broken BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION fail()")

    with pytest.raises(Exception, match="disk is full"), transaction.atomic():
        hold(client)

    assert balance(client) == (10 * USD, 0, 0, 10 * USD)
    assert not Hold.objects.exists()


def test_a_ledger_row_is_never_changed_or_deleted() -> None:
    make_client()
    row = LedgerTransaction.objects.get()

    with pytest.raises(AppendOnlyError):
        row.save()
    with pytest.raises(AppendOnlyError):
        row.delete()
    with pytest.raises(AppendOnlyError):
        LedgerTransaction.objects.all().delete()
    with pytest.raises(AppendOnlyError):
        LedgerTransaction.objects.update(cost=1)


def test_money_moves_only_inside_a_transaction(transactional_db: None) -> None:
    account = Account.objects.get(client=make_client())

    with pytest.raises(transaction.TransactionManagementError):
        post(account.pk, Movement("top_up", available=1, funded=1), actor=SYSTEM)


def test_a_balance_below_its_threshold_is_told_once() -> None:
    client = make_client(usd=10, low_balance=8 * USD)
    hold(client, "job_1", 2 * USD)
    end("job_1", charge=USD)
    assert not OutboxEvent.objects.filter(kind="balance.low").exists()

    for job in ("job_2", "job_3"):
        hold(client, job, 2 * USD)
        end(job, charge=2 * USD)

    told = OutboxEvent.objects.get(kind="balance.low")
    assert told.client_id == client.pk
    assert told.payload == {"available": "7", "held": "0", "threshold": "8", "currency": "USD"}
