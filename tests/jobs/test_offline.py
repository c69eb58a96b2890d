"""The connection to the provider is cut: what needs none goes on, nothing is accepted, what runs is caught up with."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.test import Client as HttpClient
from django.utils import timezone

from catalog import published, upstreams
from catalog.models import SyncRun, Upstream
from genfeed.clients.errors import ApiError
from genfeed.clients.models import Client
from jobs.accepting.accept import Wanted
from jobs.batches.accepting import WantedBatch, accept_batch
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job, Status
from pricing.models import Account, Hold
from tests.jobs.conftest import Run
from tests.jobs.doubles import make_caller, make_job
from tests.pricing.ledger.books import CENT
from tests.pricing.reports.past import ended
from tests.sandbox_server import RunningSandbox
from tests.wire import Wire, wire_to

pytestmark = pytest.mark.django_db
AS_SHIPPED = upstreams._CATCH_UP_WITHIN


@pytest.fixture
def wire(sandbox: RunningSandbox, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The wire that everything for the provider goes through, in core mode."""
    settings.GENFEED_MODE = "core"
    monkeypatch.setattr(upstreams, "_FIRST_PROBE", 0.05)
    monkeypatch.setattr(upstreams, "_LONGEST_PROBE", 0.1)
    monkeypatch.setattr(upstreams, "_CATCH_UP_WITHIN", (0.0, 0.0))
    monkeypatch.setattr("jobs.dispatching.dispatcher._SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(upstreams, "_REMEMBERED_SECONDS", 0.0)
    with wire_to(sandbox.base_url) as one:
        for name in ("FAL_PLATFORM_URL", "FAL_QUEUE_URL", "FAL_RUN_URL", "FAL_REST_URL", "FAL_CDN_URL", "FAL_WEB_URL"):
            setattr(settings, name, getattr(settings, name).replace(sandbox.base_url, one.base_url))
        yield one


def is_offline(_job: Job) -> bool:
    return not upstreams.is_online("fal")


@pytest.fixture
def cut(run: Run, wire: Wire, sandbox: RunningSandbox) -> Job:
    """A job that was running when the wire was cut, which has been found out."""
    sandbox.faults(jobs=[{"match": "flux/dev", "seconds": 2, "times": 1}])
    job = run(lambda job: job.status == Status.RUNNING, job=make_job(make_caller(0, name="Early")))
    wire.cut()
    return run(is_offline, job=job)


def test_offline_nothing_is_accepted_or_held_and_the_error_says_what_still_works(cut: Job) -> None:
    caller = make_caller(0, name="Late")

    # Also a request that a stored result would do for, where there is none.
    for cache in ("", "any_seed"):
        with pytest.raises(ApiError) as refused:
            make_job(caller, cache=cache)

        error = refused.value
        assert (error.code, error.status, error.retry_after) == ("offline", 503, 30)
        assert "local copy" in error.hint
    assert list(Job.objects.all()) == [cut]
    assert not Hold.objects.exclude(job=cut.pk).exists()


@pytest.mark.once
def test_offline_no_item_of_a_batch_is_accepted_that_no_stored_result_answers(cut: Job) -> None:
    item = Wanted("fal-ai/flux/dev", {"prompt": "a fox"}, cache="any_seed")

    with pytest.raises(ApiError) as refused:
        accept_batch(WantedBatch([item, item]), make_caller(0, name="Late"))

    assert (refused.value.code, refused.value.retry_after) == ("offline", 30)
    assert list(Job.objects.all()) == [cut]


def test_a_job_that_runs_while_the_connection_is_gone_is_caught_up_with(cut: Job, run: Run, wire: Wire) -> None:
    assert cut.status == Status.RUNNING

    wire.mend()

    assert run(job=cut).status == Status.SUCCEEDED
    assert Account.objects.get(client_id=cut.client_id).held == 0


@pytest.mark.once
def test_back_online_new_jobs_are_accepted_again(cut: Job, run: Run, wire: Wire) -> None:
    wire.mend()
    run(lambda job: upstreams.is_online("fal"), job=cut)

    assert run(job=make_job(make_caller(0, name="Late"))).status == Status.SUCCEEDED


@pytest.mark.once
def test_offline_catalog_schemas_estimates_and_usage_are_served_and_the_catalog_marked_with_its_age(
    cut: Job, make_key: Callable[..., str]
) -> None:
    long_ago = timezone.now() - timedelta(hours=9)
    SyncRun.objects.create(
        provider=cut.model.provider, trigger="schedule", status=SyncRun.Status.SUCCEEDED, finished_at=long_ago
    )
    published.forget()
    key = make_key("models:read", "estimates", "usage:read", "jobs:read", "jobs:write", client="Reader")
    ended(cut.model, Client.objects.get(name="Reader"), timezone.now(), charge=7 * CENT)
    http = HttpClient(headers={"Authorization": f"Bearer {key}"})

    def post(path: str, body: Any) -> Any:
        return http.post(path, orjson.dumps(body), content_type="application/json")

    asked = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}
    listed, detail = http.get("/api/v1/models"), http.get("/api/v1/models/fal-ai/flux/dev")
    for answer in (listed, detail):
        assert answer.status_code == 200
        assert 9 * 3600 <= int(answer.headers["X-GenFeed-Catalog-Age"]) < 9 * 3600 + 60
        assert answer.headers["X-GenFeed-Offline"] == "fal"
    assert detail.json()["inputs"]
    assert post("/api/v1/estimates", asked).json()["price"]
    assert post("/api/v1/models/select", {"task": "text-to-image"}).status_code == 200
    assert http.get("/api/v1/usage").json()["total"]["charge"] == "0.07"
    wrong = post("/api/v1/estimates", {**asked, "input": {"prompt": "a fox", "promt": "a fox"}})
    assert wrong.json()["code"] == "unknown_field"
    refused = post("/api/v1/jobs", asked)
    assert (refused.status_code, refused.json()["code"]) == (503, "offline")


@pytest.mark.once
def test_the_status_tells_what_is_offline_since_when_and_when_it_was_last_reached(cut: Job, api: HttpClient) -> None:
    told = api.get("/api/v1/status").json()

    fal = next(one for one in told["upstreams"] if one["id"] == "fal")
    assert (told["mode"], told["online"], fal["online"]) == ("core", False, False)
    assert fal["last_reached_at"]
    assert fal["offline_since"]


@pytest.mark.once
def test_the_start_page_shows_that_a_provider_is_offline(cut: Job, staff: Callable[[str], HttpClient]) -> None:
    page = staff("superuser").get("/admin/").content.decode()

    assert '<span class="gf-badge gf-bad">offline</span>' in page
    assert "Core mode" in page


def test_a_sync_that_failed_meanwhile_is_caught_up_with_once(cut: Job, run: Run, wire: Wire) -> None:
    failed = SyncRun.objects.create(
        provider=cut.model.provider, trigger="schedule", status=SyncRun.Status.FAILED, finished_at=timezone.now()
    )
    wire.mend()

    run(lambda job: SyncRun.objects.exclude(pk=failed.pk).exists(), job=cut)
    upstreams.catch_up()

    assert SyncRun.objects.exclude(pk=failed.pk).get().trigger == "online"


@pytest.mark.once
def test_what_was_missed_is_synced_within_two_minutes_after_the_return_and_not_before(
    cut: Job, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "_CATCH_UP_WITHIN", AS_SHIPPED)
    SyncRun.objects.create(
        provider=cut.model.provider, trigger="schedule", status=SyncRun.Status.FAILED, finished_at=timezone.now()
    )
    upstreams.forget()

    before = timezone.now()
    upstreams.note_reached("fal")

    due = Upstream.objects.get(name="fal").sync_at
    assert due is not None
    assert before + timedelta(seconds=5) <= due <= timezone.now() + timedelta(seconds=120)
    assert upstreams.catch_up() == []
    assert not SyncRun.objects.filter(trigger="online").exists()
    Upstream.objects.update(sync_at=timezone.now())
    assert upstreams.catch_up() == ["fal"]
    assert SyncRun.objects.filter(trigger="online").count() == 1


@pytest.mark.once
def test_a_catalog_that_is_fresh_is_not_synced_for_a_short_outage(cut: Job, run: Run, wire: Wire) -> None:
    SyncRun.objects.create(
        provider=cut.model.provider, trigger="schedule", status=SyncRun.Status.SUCCEEDED, finished_at=timezone.now()
    )
    wire.mend()

    run(lambda job: Upstream.objects.filter(offline_since=None, sync_at=None, failures=0).exists(), job=cut)

    assert SyncRun.objects.count() == 1


@pytest.mark.once
def test_in_cloud_mode_short_outages_are_waited_out(cut: Job, run: Run, wire: Wire, settings: Any) -> None:
    settings.GENFEED_MODE = "cloud"

    job = make_job(make_caller(10, name="Patient"))
    wire.mend()

    assert run(job=job).status == Status.SUCCEEDED


@pytest.mark.once
def test_rely_03_a_sync_without_a_connection_leaves_the_last_good_catalog_with_its_age(
    small_fal: RunningSandbox, settings: Any, db: None, api: HttpClient
) -> None:
    call_command("sync_models", stdout=StringIO())
    good = SyncRun.objects.get()
    SyncRun.objects.filter(pk=good.pk).update(finished_at=timezone.now() - timedelta(hours=7))
    published.forget()
    before = api.get("/api/v1/models")
    settings.FAL_PLATFORM_URL, settings.FAL_MAX_RETRIES = "http://127.0.0.1:9/v1", 0

    with pytest.raises(CommandError):
        call_command("sync_models", stdout=StringIO())
    published.forget()
    upstreams.forget()
    after = api.get("/api/v1/models")

    assert before.json()["items"]
    assert after.content == before.content
    assert int(after.headers["X-GenFeed-Catalog-Age"]) >= 7 * 3600
    assert after.headers["X-GenFeed-Offline"] == "fal"


@pytest.mark.once
def test_one_lost_connection_is_no_outage(run: Run, wire: Wire, dispatcher: Dispatcher) -> None:
    upstreams.note_unreachable("fal", "ConnectError")

    assert upstreams.is_online("fal")
    assert run(job=make_job(make_caller(0))).status == Status.SUCCEEDED


def test_only_one_process_asks_at_a_time_whether_it_is_back(cut: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "_FIRST_PROBE", 30.0)
    monkeypatch.setattr(upstreams, "_LONGEST_PROBE", 60.0)
    Upstream.objects.update(probe_at=timezone.now())

    assert len(upstreams.claim_probes()) == 1
    assert upstreams.claim_probes() == []
