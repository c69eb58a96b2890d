"""What the provider holds of an erased client is deleted there, where our key may."""

from typing import Any

import pytest
from django.test import Client as HttpClient

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from jobs import provider_copies
from jobs.assets.retention import erase_client
from jobs.models import Job, ProviderErasure
from pricing.ledger.checking import check_ledger
from tests.jobs.assets.conftest import media  # noqa: F401
from tests.jobs.conftest import Run
from tests.jobs.doubles import make_job
from tests.sandbox_server import ADMIN_KEY, API_KEY, RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


def erase() -> dict[str, int]:
    return erase_client(Client.objects.get(name="Acme"), actor=SYSTEM)


def held(sandbox: RunningSandbox) -> list[Any]:
    return [one["input"] for one in sandbox.queue()["requests"]]


def test_payloads_are_deleted_at_the_provider(run: Run, sandbox: RunningSandbox, settings: Any) -> None:
    settings.FAL_ADMIN_KEY = ADMIN_KEY
    run()
    assert held(sandbox) != [None]

    assert erase()["at_provider"] == 1
    assert provider_copies.erase_due() == 1

    assert (held(sandbox), ProviderErasure.objects.count()) == ([None], 0)


@pytest.mark.once
def test_a_key_that_may_not_delete_leaves_them_for_another_day(
    run: Run, sandbox: RunningSandbox, settings: Any
) -> None:
    settings.FAL_ADMIN_KEY = ""
    settings.FAL_KEY = API_KEY
    run()
    erase()

    assert provider_copies.erase_due() == 0
    assert provider_copies.erase_due() == 0
    assert (ProviderErasure.objects.count(), sandbox.request_counts().get("DELETE", 0) <= 1) == (1, True)


@pytest.mark.once
def test_a_provider_that_fails_is_asked_again_later(run: Run, sandbox: RunningSandbox, settings: Any) -> None:
    settings.FAL_ADMIN_KEY, settings.FAL_MAX_RETRIES = ADMIN_KEY, 0
    run()
    erase()
    sandbox.faults(fail=[{"match": "/payloads", "method": "DELETE", "status": 503, "times": 1}])

    assert provider_copies.erase_due() == 0
    ProviderErasure.objects.update(next_at="2026-01-01T00:00:00Z")
    assert provider_copies.erase_due() == 1


@pytest.mark.once
def test_the_api_says_first_what_it_would_erase(admin_api: HttpClient, run: Run) -> None:
    run()

    answer = admin_api.post("/api/v1/admin/erasures", {"client": "acme"}, content_type="application/json")

    assert answer.json() == {
        "client": "Acme", "erased": False, "jobs": 1, "files": 1, "left": 0, "at_provider": 0,
    }  # fmt: skip
    assert Job.objects.get().input != {}


def test_the_api_erases_contents_and_keeps_money(admin_api: HttpClient, run: Run) -> None:
    charge = run().charge

    body = {"client": "Acme", "confirm": True}
    answer = admin_api.post("/api/v1/admin/erasures", body, content_type="application/json")

    job = Job.objects.get()
    assert (answer.json()["erased"], answer.json()["at_provider"]) == (True, 1)
    assert (job.input, job.output, job.charge) == ({}, None, charge)
    assert AuditEvent.objects.filter(action="client.erased").count() == 1
    assert check_ledger() == []


@pytest.mark.once
def test_the_api_erases_nobody_with_open_jobs(admin_api: HttpClient, sandbox: RunningSandbox) -> None:
    make_job()

    body = {"client": "Acme", "confirm": True}
    answer = admin_api.post("/api/v1/admin/erasures", body, content_type="application/json")

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.once
def test_only_the_operator_may_erase(make_key: Any) -> None:
    api = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write')}"})

    answer = api.post("/api/v1/admin/erasures", {"client": "Acme", "confirm": True}, content_type="application/json")

    assert answer.status_code == 403
    assert Client.objects.get(name="Acme").is_active
