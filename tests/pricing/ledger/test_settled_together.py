"""Jobs that are settled at once: each is settled as it would be by itself, and none spoils another."""

import pytest
from django.db import transaction

from genfeed.journal.models import Alert
from pricing.ledger.checking import check_ledger
from pricing.ledger.settling import Ended, Settlement, settle_each
from pricing.models import Hold, LedgerTransaction
from tests.pricing.ledger.books import USD, balance, end, hold, make_client

pytestmark = pytest.mark.django_db(transaction=True)


def settled(*settlements: Settlement) -> list[Ended | None]:
    with transaction.atomic():
        return settle_each(settlements)


def test_one_that_was_settled_before_is_left_and_the_others_are_charged() -> None:
    client = make_client(usd=10)
    for number in (1, 2, 3):
        hold(client, f"job_{number}", amount=2 * USD)
    end("job_2", charge=USD, cost=USD)
    before = balance(client)

    found = settled(*(Settlement(f"job_{number}", charge=USD, cost=USD) for number in (1, 2, 3)))

    assert found == [Ended(2 * USD, USD, 0), None, Ended(2 * USD, USD, 0)]
    assert balance(client) != before
    assert list(LedgerTransaction.objects.filter(kind="settle").order_by("pk").values_list("job", flat=True)) == [
        "job_2",
        "job_1",
        "job_3",
    ]
    assert check_ledger() == []


def test_a_loss_among_them_is_booked_and_told_for_its_own_job() -> None:
    client = make_client(usd=10)
    for number in (1, 2):
        hold(client, f"job_{number}", amount=USD)

    found = settled(Settlement("job_1", charge=USD, cost=USD), Settlement("job_2", charge=5 * USD, cost=3 * USD))

    assert found == [Ended(USD, USD, 0), Ended(USD, USD, 2 * USD)]
    assert Alert.objects.filter(code="operator_loss").count() == 1
    assert check_ledger() == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Settlement("job_2", charge=-1, cost=0), ValueError),
        (Settlement("job_2", charge=0, cost=-1), ValueError),
        (Settlement("nobody's", charge=0, cost=0), Hold.DoesNotExist),
    ],
)
def test_one_that_can_not_be_settled_leaves_all_as_they_were(bad: Settlement, error: type[Exception]) -> None:
    client = make_client(usd=10)
    for number in (1, 2):
        hold(client, f"job_{number}", amount=USD)
    before = balance(client)

    with pytest.raises(error):
        settled(Settlement("job_1", charge=USD, cost=USD), bad)

    assert balance(client) == before
    assert Hold.objects.filter(closed_at=None).count() == 2
