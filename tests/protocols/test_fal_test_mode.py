"""Test keys speak fal's protocol too: free, on the sandbox of the installation, and apart from live requests."""

import pytest
from django.test import Client as HttpClient

from genfeed.clients.models import Client
from jobs.models import Job
from jobs.testmode.mode import is_test
from pricing.models import Account
from tests.jobs.testmode.conftest import acme, key_of, model  # noqa: F401
from tests.protocols.conftest import QUEUE, post, speaking

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PAGE = "https://app.example.com"


@pytest.fixture
def tester(acme: Client) -> HttpClient:  # noqa: F811
    return speaking(key_of(acme, is_test=True))


def held(client: Client) -> int:
    return Account.objects.get(client=client).held


def test_a_test_key_submits_a_test_job_that_holds_no_money(acme: Client, tester: HttpClient) -> None:  # noqa: F811
    answer = post(tester)

    assert answer.status_code == 200
    assert is_test(Job.objects.get(pk=answer.json()["request_id"]))
    assert held(acme) == 0


def test_live_and_test_keys_see_nothing_of_each_others_requests(
    acme: Client,  # noqa: F811
    tester: HttpClient,
) -> None:
    path = post(tester).json()["status_url"].removeprefix("http://testserver")

    assert tester.get(path).status_code == 202
    assert speaking(key_of(acme, is_test=False)).get(path).status_code == 404


def test_a_token_that_a_test_key_made_makes_test_jobs(acme: Client, tester: HttpClient) -> None:  # noqa: F811
    token = post(tester, "/api/v1/browser-tokens", {"origin": PAGE, "max_total": "0.10"}).json()["token"]
    page = speaking(token)

    answers = [post(page, QUEUE, None, Origin=PAGE) for _ in range(2)]

    # Its ceiling counts what they would cost.
    assert [one.status_code for one in answers] == [200, 403]
    assert is_test(Job.objects.get())
    assert held(acme) == 0
