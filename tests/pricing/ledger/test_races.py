"""Settlements, refunds and corrections of one job that meet: each at the exact point where the other is half done."""

from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest
from django.db import connections, transaction

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger import afterwards, settling
from pricing.ledger.accounts import MoneyRefusedError
from pricing.ledger.afterwards import charged_for, correct, refund
from pricing.ledger.checking import check_ledger
from pricing.ledger.settling import settle
from pricing.models import LedgerTransaction
from tests.pricing.ledger.books import USD, balance, end, hold, make_client

pytestmark = pytest.mark.django_db(transaction=True)

# By then it has come to its end, or waits for the transaction that it came into.
MOMENT_SECONDS = 0.3


class Meanwhile:
    """What another connection does at one point of ours: it ends there, or waits for our transaction to end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, work: Callable[[], Any]) -> None:
        self.outcome: Any = None
        self._work = work
        self._thread: Thread | None = None
        real = getattr(module, name)

        def both(*args: Any, **more: Any) -> Any:
            self._begin()
            return real(*args, **more)

        monkeypatch.setattr(module, name, both)

    def end(self) -> Any:
        """What came of it: what it returned, or what it raised."""
        assert self._thread is not None, "the point was never reached"
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.outcome

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._run)
            self._thread.start()
            self._thread.join(MOMENT_SECONDS)

    def _run(self) -> None:
        try:
            self.outcome = self._work()
        except Exception as error:
            self.outcome = error
        finally:
            connections.close_all()


@pytest.fixture
def client() -> Iterator[Client]:
    """One with 10 USD, of which job_1 holds 4; its ledger is proven when the test is over."""
    client = make_client(usd=10)
    hold(client, amount=4 * USD)
    yield client
    assert check_ledger() == []


def give_back(amount: int) -> LedgerTransaction:
    return refund("job_1", amount, actor=SYSTEM, reason="blurred", reference="ticket 7")


def fix(charge: int) -> LedgerTransaction | None:
    return correct("job_1", charge=charge, cost=USD, reference="event 1", reason="bill")


def again() -> Any:
    with transaction.atomic():
        return settle("job_1", charge=3 * USD, cost=USD)


def test_a_refund_while_the_job_is_being_settled_is_refused_or_comes_after_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The hold is closed, and no money has moved yet.
    other = Meanwhile(monkeypatch, settling, "post_each", lambda: give_back(USD))

    end(charge=2 * USD, cost=USD)

    outcome = other.end()
    given = USD if isinstance(outcome, LedgerTransaction) else 0
    assert given or isinstance(outcome, MoneyRefusedError)
    assert balance(client) == (8 * USD + given, 0, 2 * USD - given, 10 * USD)


def test_a_bill_while_the_job_is_being_settled_is_refused_or_comes_after_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Meanwhile(monkeypatch, settling, "post_each", lambda: fix(USD))

    end(charge=2 * USD, cost=USD)

    outcome = other.end()
    charge = USD if isinstance(outcome, LedgerTransaction) else 2 * USD
    assert charge == USD or isinstance(outcome, MoneyRefusedError)
    assert balance(client) == (10 * USD - charge, 0, charge, 10 * USD)


def test_a_second_settlement_while_the_first_is_at_work_books_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Meanwhile(monkeypatch, settling, "post_each", again)

    end(charge=2 * USD, cost=USD)

    assert other.end() is None
    assert charged_for("job_1") == 2 * USD


@pytest.mark.parametrize(("module", "point"), [(afterwards, "charged_for"), (afterwards, "post")])
def test_a_settlement_that_comes_again_during_a_refund_books_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch, module: Any, point: str
) -> None:
    end(charge=2 * USD, cost=USD)
    other = Meanwhile(monkeypatch, module, point, again)

    give_back(USD)

    assert other.end() is None
    assert balance(client) == (9 * USD, 0, USD, 10 * USD)


def test_two_refunds_that_meet_give_back_no_more_than_was_charged(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(charge=2 * USD, cost=USD)
    second = {"actor": SYSTEM, "reason": "late", "reference": "ticket 8"}
    # The first has looked at what was charged, and not booked yet.
    other = Meanwhile(monkeypatch, afterwards, "spend", lambda: refund("job_1", 2 * USD, **second))

    give_back(2 * USD)

    assert isinstance(other.end(), MoneyRefusedError)
    assert charged_for("job_1") == 0


def test_a_bill_that_meets_a_refund_takes_nothing_of_it_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    end(charge=2 * USD, cost=USD)
    other = Meanwhile(monkeypatch, afterwards, "spend", lambda: fix(USD))

    give_back(2 * USD)

    other.end()
    # What was given back was paid: the bill asks for no less than that, and the client has paid nothing in the end.
    assert balance(client) == (10 * USD, 0, 0, 10 * USD)


def test_a_refund_that_meets_a_bill_gives_back_no_more_than_the_bill_leaves(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(charge=2 * USD, cost=USD)
    other = Meanwhile(monkeypatch, afterwards, "spend", lambda: give_back(2 * USD))

    fix(USD)

    assert isinstance(other.end(), MoneyRefusedError)
    assert charged_for("job_1") == USD
