"""The usage record of an ended job: whole, once, in the transaction of its settlement, and never changed."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from pricing.ledger.settling import settle
from pricing.models import ImmutableError, LedgerTransaction, UsageRecord
from pricing.usage.recording import BadUsageError, Usage, record_usage
from tests.pricing.ledger.books import CENT, a_model, hold, make_client

pytestmark = pytest.mark.django_db(transaction=True)


def usage(**values: Any) -> Usage:
    known: dict[str, Any] = {
        "job": "job_1", "client_id": None, "key_id": None, "model_id": a_model().pk, "outcome": "succeeded",
        "cost": CENT, "charge": 4 * CENT, "cost_source": "billable_units",
    }  # fmt: skip
    return Usage(**(known | values))


def settle_again(used: Usage) -> None:
    with transaction.atomic():
        settle(used.job, charge=used.charge, cost=used.cost)
        record_usage(used)


def test_it_keeps_what_the_job_used() -> None:
    client = make_client()
    with transaction.atomic():
        record_usage(
            usage(
                client_id=client.pk, unit="megapixels", units=Decimal("1.50"), quoted_cost=CENT, quoted_price=4 * CENT,
                terms={"billing": "metered"}, features={"resolution": "720p"}, request_id="req_1", seconds=2.5,
            )
        )  # fmt: skip

    row = UsageRecord.objects.get(job="job_1")
    assert (row.client, row.unit, row.units, row.cost, row.charge) == (client, "megapixels", "1.5", CENT, 4 * CENT)
    assert (row.terms, row.features, row.seconds) == ({"billing": "metered"}, {"resolution": "720p"}, 2.5)
    assert (row.outcome, row.cost_source, row.request_id) == ("succeeded", "billable_units", "req_1")


def test_it_is_refused_outside_of_a_transaction() -> None:
    asked = usage()
    with pytest.raises(transaction.TransactionManagementError):
        record_usage(asked)
    assert not UsageRecord.objects.exists()


def test_a_second_record_of_a_job_undoes_the_settlement_beside_it() -> None:
    client = make_client()
    hold(client)
    with transaction.atomic():
        record_usage(usage(client_id=client.pk))

    with pytest.raises(IntegrityError):
        settle_again(usage(client_id=client.pk))

    assert not LedgerTransaction.objects.filter(kind="settle").exists()


def test_a_record_is_never_changed_or_deleted() -> None:
    with transaction.atomic():
        row = record_usage(usage())

    row.charge = 0
    with pytest.raises(ImmutableError):
        row.save()
    with pytest.raises(ImmutableError):
        row.delete()
    with pytest.raises(ImmutableError):
        UsageRecord.objects.filter(pk=row.pk).update(charge=0)
    with pytest.raises(ImmutableError):
        UsageRecord.objects.all().delete()
    assert UsageRecord.objects.get().charge == 4 * CENT


@pytest.mark.parametrize(
    "wrong",
    [
        {"job": ""},
        {"outcome": "lost"},
        {"cost_source": "guessed"},
        {"cost": -1},
        {"charge": -1},
        {"charge": True},
        {"charge": 0.5},
        {"cost": 1, "cost_source": "none"},
        {"cost": 1, "is_cached": True},
        {"error_code": "timeout"},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadUsageError), transaction.atomic():
        record_usage(usage(**wrong))
    assert not UsageRecord.objects.exists()
