"""Hosts of one client that answer slowly, or never, hold up nobody else: neither files of jobs nor webhooks."""

import time
from collections import Counter
from typing import Any

import pytest
from django.test import Client as HttpClient

from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.assets import fetching, uploading
from jobs.assets.bringing import Bringing
from jobs.assets.models import Asset
from jobs.assets.pool import FetchPool
from jobs.webhooks.endpoints import make_endpoint, send_test
from jobs.webhooks.sending import claim, free_lanes
from pricing import sql
from tests.jobs.doubles import make_caller, make_job

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def slow() -> Client:
    return Client.objects.create(name="Slow and Sons")


def bring(client: Client, count: int) -> None:
    Asset.objects.bulk_create(
        Asset(id=f"ast_{client.pk}_{number}", client=client, origin="upload", kind="other", name="a",
              source_url=f"https://slow.example/{number}")
        for number in range(count)
    )  # fmt: skip


def test_files_that_clients_name_leave_threads_for_those_of_jobs(slow: Client) -> None:
    bring(slow, 20)
    others = [Client.objects.create(name=f"another {number}") for number in range(3)]
    for other in others:
        bring(other, 1)
    made = Asset.objects.create(
        id="ast_of_a_job", client_id=make_caller().client_id, job=make_job(make_caller("Jobs and Sons")), kind="image",
        name="a", source_url="https://cdn.example/a",
    )  # fmt: skip
    bringing = Bringing(8)

    begun = [asset for _ in range(5) for asset in fetching.claim(8, bringing=bringing)]

    of = Counter(asset.client_id for asset in begun if asset.pk != made.pk)
    assert made.pk in {asset.pk for asset in begun}
    assert (of[slow.pk], of.total()) == (2, 4)
    bringing.end(slow.pk)
    assert [asset.client_id for asset in fetching.claim(8, bringing=bringing)][:1] != []


def test_a_place_is_given_back_when_a_file_is_done(
    slow: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.ASSET_THREADS, settings.ASSET_ATTEMPTS = 4, 1
    bring(slow, 3)
    monkeypatch.setattr(fetching, "ask", lambda _: fetching.CannotFetchError("the host did not answer in time"))
    pool = FetchPool()
    deadline = time.monotonic() + 15
    while pool.tick() or pool.is_busy:
        assert time.monotonic() < deadline, "the pool finds no end"
        time.sleep(0.01)
    pool.close()

    assert not pool.is_busy
    assert pool._bringing.begin(slow.pk)


def test_a_file_that_is_given_up_the_moment_it_is_claimed_takes_no_place(
    slow: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(slow, 1)
    rows = sql.rows

    def and_expired(text: str, *values: Any) -> Any:
        found = rows(text, *values)
        if text.lstrip().startswith("UPDATE"):
            Asset.objects.update(state=Asset.State.EXPIRED)
        return found

    monkeypatch.setattr(sql, "rows", and_expired)
    bringing = Bringing(4)

    assert fetching.claim(4, bringing=bringing) == []
    assert bringing.begin(slow.pk)


def test_so_many_addresses_wait_to_be_fetched_and_no_more(slow: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "MOST_COMING", 2)
    _, key = create_key(slow, actor=SYSTEM, scopes=["jobs:write"])
    http = HttpClient(headers={"Authorization": f"Bearer {key}"})

    answers = [http.post("/api/v1/uploads", {"url": "https://slow.example/a"}, "application/json") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[-1].json()["code"] == "too_many_in_flight"


def test_webhooks_of_one_client_leave_threads_for_those_of_others(slow: Client, settings: Any) -> None:
    settings.WEBHOOK_THREADS = 16
    other = Client.objects.create(name="Other")
    for client, addresses in ((slow, 5), (other, 1)):
        for number in range(addresses):
            endpoint, _ = make_endpoint(client.pk, url=f"https://a.example/{number}", events=["*"], actor=SYSTEM)
            for _ in range(4):
                send_test(endpoint)
    busy: Counter[str] = Counter()

    begun = claim(16, busy)

    of = Counter(attempt.delivery.client_id for attempt in begun)
    assert of == {slow.pk: 12, other.pk: 4}
    free_lanes(busy, [attempt.delivery for attempt in begun])
    assert not busy
