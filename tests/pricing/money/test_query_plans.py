"""No question about one client or job reads the whole ledger, however long it is."""

from datetime import date

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet

from pricing.models import Account, LedgerTransaction
from pricing.usage.summary import Question, _jobs
from tests.pricing.ledger.books import make_client

pytestmark = pytest.mark.django_db(transaction=True)


def plan(rows: QuerySet) -> str:
    """The plan of the database; PostgreSQL is kept from reading tables whole only because they are small here."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
        return rows.explain()


def reads_all_of(table: str, found: str) -> bool:
    return f"SCAN {table}" in found or f"Seq Scan on {table}" in found


def test_the_rows_of_one_job_are_found_by_an_index() -> None:
    rows = LedgerTransaction.objects.filter(job="job_1").order_by()
    assert not reads_all_of("pricing_ledgertransaction", plan(rows))


def test_a_month_of_one_client_is_found_by_an_index() -> None:
    account = Account.objects.get(client=make_client())
    rows = LedgerTransaction.objects.filter(account=account, at__gte="2026-11-01T00:00Z").order_by()
    assert not reads_all_of("pricing_ledgertransaction", plan(rows))


def test_the_usage_of_one_client_is_found_by_indexes_with_what_came_later() -> None:
    asked = Question(make_client().pk, date(2026, 11, 1), date(2026, 11, 30), "UTC", ("day",))
    found = plan(_jobs(asked))
    assert not reads_all_of("pricing_usagerecord", found)
    assert not reads_all_of("pricing_ledgertransaction", found)
