"""Real bills of the sandbox, over HTTP: units, discounts and corrections as it makes them, not as we do."""

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.models import Bill
from pricing.money import to_nano
from pricing.reconciling.figures import figures
from pricing.reconciling.reconcile import reconcile
from pricing.settling.frozen import Frozen
from tests.factories import make_model
from tests.pricing.reconciling.bills import TERMS, booked, settled
from tests.sandbox.caller import FLUX, FOX, Caller
from tests.sandbox_server import ADMIN_KEY, API_KEY, RunningSandbox

pytestmark = pytest.mark.django_db
PATIENCE_SECONDS = 10


@pytest.fixture
def caller(fal: RunningSandbox, settings: Any) -> Iterator[Caller]:
    settings.FAL_ADMIN_KEY = ADMIN_KEY
    fal.faults(processing_ms=0, billing_lag=0)
    with Caller(fal) as made:
        yield made


@pytest.fixture
def flux(db: None) -> AIModel:
    return make_model(FLUX)


def price_of_flux(caller: Caller) -> tuple[Decimal, str]:
    row = caller.client.get("/v1/models/pricing", params={"endpoint_id": FLUX}).json()["prices"][0]
    return Decimal(str(row["unit_price"])), row["unit"]


def ran(
    caller: Caller, client: Client, model: AIModel, job: str, *, off: Decimal = Decimal(1), **given: Any
) -> Decimal:
    """Runs a request and settles it as if `off` times its billed units had been counted; its cost in USD."""
    price, unit = price_of_flux(caller)
    answer = caller.run(FLUX, FOX | given)
    cost = Decimal(answer.headers["x-fal-billable-units"]) * price
    terms = Frozen(billing="metered", hold=TERMS.hold, margin=TERMS.margin, units=(unit,), unit_prices=(price,))
    nano = to_nano(cost * off)
    settled(
        client, job, terms=terms, model=model, cost=nano, charge=2 * nano, quoted_cost=to_nano(cost),
        request_id=answer.headers["x-fal-request-id"],
    )  # fmt: skip
    return cost


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return seen


def test_jobs_that_were_settled_by_billed_units_match_their_bills(
    caller: Caller, client: Client, flux: AIModel
) -> None:
    for number in range(3):
        ran(caller, client, flux, f"job_{number}", num_images=number + 1)

    run = reconcile("fal")

    assert (run.status, run.report["bills"]) == ("succeeded", {"matched": 3})
    assert (found := figures(since=run.read_from)).as_settled == found.booked == "100.00"
    assert run.report["credit"]["currency"] == "USD"


@pytest.mark.once
def test_a_job_that_was_settled_wrongly_is_corrected_to_its_bill(caller: Caller, client: Client, flux: AIModel) -> None:
    cost = ran(caller, client, flux, "job_1", off=Decimal("0.5"))

    reconcile("fal")

    assert booked() == (cost * 100, cost * 200)


@pytest.mark.once
def test_a_discount_of_the_account_is_ours(caller: Caller, client: Client, flux: AIModel) -> None:
    caller.sandbox.faults(discount_percent=20)
    cost = ran(caller, client, flux, "job_1")

    reconcile("fal")

    assert booked() == (cost * 80, cost * 200)


def test_a_bill_that_the_provider_corrects_later_is_booked_as_corrected(
    caller: Caller, client: Client, flux: AIModel
) -> None:
    caller.sandbox.faults(jobs=[{"correction": {"after": 1, "times": 2}}])
    cost = ran(caller, client, flux, "job_1")

    def is_corrected() -> bool:
        reconcile("fal")
        return Bill.objects.get().state == "corrected"

    assert until(is_corrected)
    assert booked() == (cost * 200, cost * 400)
    assert Bill.objects.get().lines == 1


@pytest.mark.once
def test_a_key_without_the_scope_fails_in_words(caller: Caller, client: Client, settings: Any) -> None:
    settings.FAL_ADMIN_KEY = API_KEY

    run = reconcile("fal")

    assert run.status == "failed"
    assert "refused the key" in run.error
