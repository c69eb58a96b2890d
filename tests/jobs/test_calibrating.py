"""Calibrations that really run: at our own cost, and observed as they are billed."""

from collections.abc import Callable

import pytest
from django.test import Client as HttpClient

from catalog.providers import queue
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, AuditEvent
from jobs.calibrating import CLIENT, start
from jobs.models import Job
from pricing.calibration.runs import CalibrationError, plan
from pricing.ledger.checking import check_ledger
from pricing.models import Account, Calibration, LedgerTransaction
from tests.admin.pages import page_of, read
from tests.jobs.conftest import Run
from tests.jobs.doubles import Provider, look, make_caller, make_job, money, result, submit
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

INPUTS = [{"prompt": "a fox"}, {"prompt": "two foxes"}, {"prompt": "three foxes"}]


@pytest.fixture(autouse=True)
def with_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(queue._has_key, "fal", lambda: True)


@pytest.fixture
def planned() -> Calibration:
    """A calibration of a model whose row says 0.02 USD a unit, and nobody knows what a unit is."""
    return planned_of("fal-ai/flux/dev")


def planned_of(endpoint_id: str) -> Calibration:
    return plan(make_sold(endpoint_id, "0.02", "units", outputs=IMAGES_OUT), INPUTS, actor=SYSTEM)


@pytest.mark.once
def test_every_planned_input_is_run_as_a_job_of_an_internal_client_that_holds_nothing(planned: Calibration) -> None:
    jobs = start(planned, actor=SYSTEM)

    assert [job.input["prompt"] for job in jobs] == [value["prompt"] for value in INPUTS]
    assert {(job.client.name, job.hold_amount, job.key_id, job.status) for job in jobs} == {(CLIENT, 0, None, "queued")}
    planned.refresh_from_db()
    assert planned.state == Calibration.State.RUNNING
    assert AuditEvent.objects.get(action="calibration.started").after["jobs"] == [job.pk for job in jobs]


def test_what_was_billed_is_observed_and_booked_as_our_loss(planned: Calibration) -> None:
    provider = Provider()
    provider.on_result = result(units="3")
    job = start(planned, actor=SYSTEM)[0]

    look(provider, submit(provider, job))

    assert (job.status, job.charge, job.cost) == ("succeeded", 0, 60_000_000)
    planned.refresh_from_db()
    (seen,) = planned.observations
    assert (seen["job"], seen["units"], seen["unit"], seen["cost"]) == (job.pk, "3", "units", 60_000_000)
    assert LedgerTransaction.objects.get(job=job.pk, kind="settle").loss == 60_000_000
    assert Account.objects.get(client__name=CLIENT).spent == 0
    assert not Alert.objects.filter(code="operator_loss").exists()
    assert check_ledger() == []


def test_once_all_have_run_a_price_is_proposed(run: Run, sandbox: RunningSandbox) -> None:
    planned = planned_of("fal-ai/flux/schnell")

    for job in start(planned, actor=SYSTEM):
        run(job=job)

    planned.refresh_from_db()
    assert len(planned.observations) == len(INPUTS)
    assert planned.state == Calibration.State.PROPOSED


def test_a_second_start_runs_nothing_twice(planned: Calibration) -> None:
    start(planned, actor=SYSTEM)

    with pytest.raises(CalibrationError, match="has run or is under way"):
        start(planned, actor=SYSTEM)

    assert Job.objects.count() == len(INPUTS)


@pytest.mark.once
def test_a_run_that_failed_can_be_run_again(planned: Calibration) -> None:
    provider = Provider()
    provider.on_result = result(status=500, units="0")
    first = start(planned, actor=SYSTEM)[0]
    look(provider, submit(provider, first))

    (again,) = start(planned, actor=SYSTEM)

    assert (first.status, again.input) == ("failed", first.input)


@pytest.mark.once
def test_a_client_that_writes_calibration_into_its_metadata_pays_as_always(planned: Calibration) -> None:
    make_sold("fal-ai/other", outputs=IMAGES_OUT)
    provider = Provider()
    job = make_job(make_caller(), model="fal-ai/other", metadata={"calibration": planned.pk, "run": 0})

    look(provider, submit(provider, job))

    assert money(job)[2] > 0
    planned.refresh_from_db()
    assert planned.observations == []


@pytest.mark.once
def test_without_a_key_of_the_provider_nothing_starts(planned: Calibration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(queue._has_key, "fal", lambda: False)

    with pytest.raises(CalibrationError, match="key"):
        start(planned, actor=SYSTEM)

    assert not Client.objects.filter(name=CLIENT).exists()


@pytest.mark.once
def test_a_person_starts_it_from_its_page_and_sees_how_far_it_is(
    staff: Callable[[str], HttpClient], planned: Calibration
) -> None:
    client = staff("catalog manager")
    url = f"/admin/pricing/calibration/{planned.pk}/change/"
    assert read(client, url).one(data_testid="run-calibration").text == "Run 3 inputs now"

    page = page_of(client.post(f"/admin/jobs/calibrations/{planned.pk}/run/", follow=True))

    assert page.messages == ["3 runs started, at our own cost."]
    assert not page.has(data_testid="run-calibration")
    assert [row for row in page.rows if row[1:] == ["queued", "", "not yet"]]


@pytest.mark.once
def test_who_may_not_decide_starts_nothing(staff: Callable[[str], HttpClient], planned: Calibration) -> None:
    answer = staff("viewer").post(f"/admin/jobs/calibrations/{planned.pk}/run/")

    assert answer.status_code == 403
    assert Job.objects.count() == 0
