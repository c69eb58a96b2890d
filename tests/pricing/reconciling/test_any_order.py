"""Whatever order lines of bills come in, over however many readings, the books end the same."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Provider
from catalog.providers.base import BillingEvent
from genfeed.clients.models import Client
from pricing.ledger.checking import check_ledger
from pricing.models import Bill
from pricing.reconciling.matching import match_open
from pricing.reconciling.runs import begin, succeed
from pricing.reconciling.storing import store, supersede
from tests.examples import examples
from tests.pricing.reconciling.bills import TERMS, booked, line, settled

pytestmark = pytest.mark.django_db
JOBS = ["job_0", "job_1", "job_2"]
LINES = st.lists(
    st.tuples(st.sampled_from(JOBS), st.integers(0, 130), st.sampled_from([0, 20])), min_size=1, max_size=8
)


def read(provider: Provider, lines: list[BillingEvent]) -> None:
    run = begin(provider, trigger="test")
    store(run, lines)
    supersede(run)
    match_open(provider)
    succeed(run)


def end_state() -> Any:
    bills = {bill.request_id: (bill.state, bill.total, bill.lines) for bill in Bill.objects.all()}
    return bills, [booked(job) for job in JOBS]


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=LINES, data=st.data())
def test_any_order_of_lines_ends_in_the_same_books(
    said: list[tuple[str, int, int]], data: st.DataObject, client: Client
) -> None:
    at = timezone.now() - timedelta(minutes=30)
    # Each line has a moment of its own: of one moment, the last reading is the truth.
    lines = [
        line(job, units=units, discount=discount, at=at + timedelta(seconds=number))
        for number, (job, units, discount) in enumerate(said)
    ]
    order = data.draw(st.permutations(lines))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=3)))
    again = data.draw(st.lists(st.sampled_from(lines), max_size=3))
    ends = []
    for batches in ([lines], [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(lines)], strict=True)] + [again]):
        with transaction.atomic():
            provider = Provider.objects.get_or_create(slug="fal")[0]
            for job in JOBS:
                settled(client, job, terms=replace(TERMS, billing="quoted") if job == "job_2" else TERMS)
            for batch in batches:
                read(provider, batch)
            assert check_ledger() == []
            ends.append(end_state())
            transaction.set_rollback(True)
    assert ends[0] == ends[1]
