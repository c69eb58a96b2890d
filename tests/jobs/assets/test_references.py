"""Files of ours as inputs of jobs: known to estimates, handed to the provider's storage, private to their client."""

import hashlib
from typing import Any

import httpx
import orjson
import pytest

from genfeed.clients.errors import ApiError
from genfeed.sandbox.media.making import Wish, make
from jobs.accepting.accept import Wanted
from jobs.assets import handing_over
from jobs.assets.models import Asset, Handover
from jobs.batches import canceling
from jobs.batches.accepting import WantedBatch, accept_batch
from jobs.batches.canceling import cancel_batch
from jobs.canceling import cancel
from jobs.dispatching.claiming import claim_queued
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job, Status
from tests.jobs.assets.conftest import key_of, make_asset
from tests.jobs.conftest import Run
from tests.jobs.doubles import make_caller, make_job, money
from tests.pricing.estimates.sold import IMAGE_URL, IMAGES_OUT, PROMPT, VIDEO_OUT, VIDEO_URL, make_sold
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

EDIT = "fal-ai/flux/dev/image-to-image"
UPSCALE = "fal-ai/topaz/upscale/video"
STORAGE = {"match": "/rest/storage/", "method": "POST"}


@pytest.fixture(autouse=True)
def models(sandbox: RunningSandbox) -> None:
    # A client with money, before its files make one without.
    make_caller()
    make_sold(EDIT, "0.03", "images", inputs=[PROMPT, IMAGE_URL], outputs=IMAGES_OUT)
    make_sold(UPSCALE, "0.01", "seconds", inputs=[VIDEO_URL], outputs=VIDEO_OUT)


def picture(**columns: Any) -> Asset:
    return make_asset(make(Wish(kind="png", seed="a", width=64, height=64)), origin="upload", **columns)


def edit_of(text: str) -> dict[str, Any]:
    return {"model": EDIT, "input": {"prompt": "bluer", "image_url": text}}


def sent(sandbox: RunningSandbox) -> dict[str, Any]:
    return sandbox.queue()["requests"][0]["input"]


@pytest.mark.once
def test_the_provider_gets_an_address_in_its_own_storage(run: Run, sandbox: RunningSandbox) -> None:
    asset = picture()

    job = run(**edit_of(f"asset:{asset.pk}"))

    assert job.status == Status.SUCCEEDED
    address = sent(sandbox)["image_url"]
    assert address.startswith(f"{sandbox.cdn_url}/files/")
    answer = httpx.get(address)
    assert (len(answer.content), answer.headers["content-type"]) == (asset.size, "image/png")
    assert Handover.objects.count() == 0


@pytest.mark.once
def test_the_key_is_sent_to_no_storage_address(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.clear_requests()
    run(**edit_of(f"asset:{picture().pk}"))

    puts = [one for one in sandbox.requests() if one["method"] == "PUT" and "/cdn/" in one["path"]]
    assert [one["had_key"] for one in puts] == [False]


@pytest.mark.once
def test_our_own_address_of_a_file_will_do_too(run: Run, sandbox: RunningSandbox) -> None:
    asset = picture()
    make_caller()
    url = key_of().get(f"/api/v1/assets/{asset.pk}").json()["url"]

    run(**edit_of(url))

    assert sent(sandbox)["image_url"].startswith(sandbox.cdn_url)


def test_a_job_is_not_sent_before_its_files(sandbox: RunningSandbox) -> None:
    job = make_job(make_caller(), **edit_of(f"asset:{picture().pk}"))

    assert claim_queued(10) == []
    for one in handing_over.claim(10):
        handing_over.apply(one, handing_over.ask(one))
    assert [claimed.pk for claimed in claim_queued(10)] == [job.pk]


def test_a_storage_that_is_away_for_a_while_is_waited_for(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(fail=[{**STORAGE, "status": 503, "times": 1}])

    job = run(**edit_of(f"asset:{picture().pk}"))

    assert (job.status, sandbox.queue()["accepted"]) == (Status.SUCCEEDED, 1)


def test_a_submit_whose_answer_is_lost_is_found_by_the_input_that_was_sent(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(fail=[{"match": "^/queue/", "method": "POST", "accepted": True, "drop": True, "times": 1}])

    job = run(**edit_of(f"asset:{picture().pk}"))

    assert (job.status, sandbox.queue()["accepted"]) == (Status.SUCCEEDED, 1)


@pytest.mark.once
def test_a_file_that_the_provider_refuses_ends_the_job(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(fail=[{**STORAGE, "status": 422, "times": 1}])

    job = run(**edit_of(f"asset:{picture().pk}"))

    assert (job.status, job.error["code"], sandbox.queue()["accepted"]) == (
        Status.FAILED, "provider_rejected_input", 0,
    )  # fmt: skip
    assert money(job)[1] == 0


@pytest.mark.once
def test_a_file_that_was_deleted_meanwhile_ends_the_job(run: Run, sandbox: RunningSandbox) -> None:
    asset = picture()
    job = make_job(make_caller(), **edit_of(f"asset:{asset.pk}"))
    Asset.objects.update(storage_name="gone.png")

    run(job=job)

    assert (job.status, job.error["code"]) == (Status.FAILED, "invalid_input")


@pytest.mark.once
def test_a_job_that_was_canceled_takes_its_files_nowhere(sandbox: RunningSandbox, dispatcher: Dispatcher) -> None:
    job = make_job(make_caller(), **edit_of(f"asset:{picture().pk}"))
    cancel(job)

    assert handing_over.claim(10) == []
    assert (Job.objects.get().status, Handover.objects.count()) == (Status.CANCELED, 0)


def test_a_job_that_is_canceled_while_its_files_are_on_their_way_leaves_nothing_to_do(sandbox: RunningSandbox) -> None:
    job = make_job(make_caller(), **edit_of(f"asset:{picture().pk}"))
    (one,) = handing_over.claim(10)
    cancel(job)

    handing_over.apply(one, handing_over.ask(one))

    assert (Job.objects.get().status, Handover.objects.count()) == (Status.CANCELED, 0)


def test_files_of_a_batch_that_is_being_canceled_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = accept_batch(WantedBatch([Wanted(**edit_of(f"asset:{picture().pk}"))]), make_caller())
    monkeypatch.setattr(canceling, "PATIENCE_SECONDS", -1.0)
    cancel_batch(batch)

    assert handing_over.claim(10) == []


def test_an_item_whose_files_arrive_after_the_cancel_of_its_batch_is_not_sent(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = make_caller()
    batch = accept_batch(WantedBatch([Wanted(**edit_of(f"asset:{picture().pk}"))]), caller)
    (one,) = handing_over.claim(10)
    addresses = handing_over.ask(one)
    monkeypatch.setattr(canceling, "PATIENCE_SECONDS", -1.0)
    cancel_batch(batch)

    handing_over.apply(one, addresses)

    assert (Job.objects.get().status, claim_queued(10)) == (Status.QUEUED, [])


@pytest.mark.once
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"client_name": "Other"}, "you have no file"),
        ({"state": "pending"}, "is pending"),
        ({"state": "expired"}, "is expired"),
    ],
)
def test_a_file_that_can_not_be_used_is_named(columns: dict[str, Any], words: str) -> None:
    asset = picture(**columns)
    caller = make_caller()

    with pytest.raises(ApiError) as refused:
        make_job(caller, **edit_of(f"asset:{asset.pk}"))

    assert refused.value.code == "invalid_input"
    assert words in str(refused.value.details) + refused.value.message
    assert "image_url" in str(refused.value.details) + refused.value.message
    assert Job.objects.count() == 0


@pytest.mark.once
def test_a_film_says_by_itself_how_long_it_is() -> None:
    asset = make_asset(b"x", content_type="video/mp4", kind="video", name="a.mp4", seconds=3.0, width=320, height=240)
    body = {"model": UPSCALE, "input": {"video_url": f"asset:{asset.pk}"}}

    estimate = key_of("Acme", "estimates").post("/api/v1/estimates", orjson.dumps(body), "application/json").json()

    assert (estimate["units"], estimate["missing"]) == ("3", [])


@pytest.mark.once
def test_a_jobs_quote_knows_its_films_too() -> None:
    asset = make_asset(b"x", content_type="video/mp4", kind="video", name="a.mp4", seconds=3.0)

    job = make_job(make_caller(), model=UPSCALE, input={"video_url": f"asset:{asset.pk}"})

    assert job.quote["units"] == "3"


@pytest.mark.once
def test_what_is_told_of_a_film_goes_before_what_is_known() -> None:
    asset = make_asset(b"x", content_type="video/mp4", kind="video", name="a.mp4", seconds=3.0)

    job = make_job(
        make_caller(), model=UPSCALE, input={"video_url": f"asset:{asset.pk}"}, media={"input_video_seconds": 7}
    )

    assert job.quote["units"] == "7"


@pytest.mark.once
def test_addresses_of_others_go_to_the_provider_as_they_are(run: Run, sandbox: RunningSandbox) -> None:
    run(**edit_of("https://example.com/a.png"))

    assert sent(sandbox)["image_url"] == "https://example.com/a.png"


@pytest.mark.once
def test_a_bare_id_names_a_file_too(run: Run, sandbox: RunningSandbox) -> None:
    run(**edit_of(picture().pk))

    assert sent(sandbox)["image_url"].startswith(sandbox.cdn_url)


@pytest.mark.once
def test_a_file_above_90_mb_is_handed_over_in_parts_and_whole(run: Run, sandbox: RunningSandbox) -> None:
    # Told by both of them: initiate-multipart from 90 MB, and parts of 10 MB.
    content = b"\x89PNG" + b"0123456789abcdef" * (91 * 1024 * 1024 // 16)
    asset = make_asset(content, origin="upload")
    sandbox.clear_requests()

    run(**edit_of(f"asset:{asset.pk}"))

    address = sent(sandbox)["image_url"]
    digest = hashlib.sha256(httpx.get(address).content).hexdigest()
    assert digest == asset.sha256
    parts = [one["path"] for one in sandbox.requests() if "/multipart/" in one["path"] and one["method"] == "PUT"]
    assert [path.rpartition("/")[2] for path in parts] == [str(number) for number in range(1, 11)]
