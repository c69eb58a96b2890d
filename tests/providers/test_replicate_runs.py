"""A job's whole way at Replicate: sent once, looked at, told of, canceled, refused, lost and found."""

import base64
import hashlib
import hmac
import io
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from catalog import discovery, published
from catalog.models import AIModel, SyncRun
from catalog.own_keys import check_new
from catalog.providers import queue, replicate_webhooks
from catalog.providers.queue import LockedError, NotAcceptedError, RefusedError, Request, UnclearError, UnreachableError
from catalog.providers.replicate_answers import counts_of, failure_of
from catalog.providers.webhooks import NotGenuineError, UndecidedError
from genfeed.clients.errors import ApiError
from genfeed.cloud.syncing import export_file, import_file
from genfeed.journal.models import Alert, AuditEvent
from jobs.accepting.accept import Wanted, accept
from jobs.canceling import cancel
from jobs.models import Job, ProviderAnswer
from tests.jobs.doubles import make_caller, money
from tests.providers.conftest import FLUX, KEY, SDXL, Replica, work
from tests.sandbox.receiver import Receiver

pytestmark = pytest.mark.once

THEIRS = "sk-a-key-of-somebody-elses-service"
SECRET = b"a secret of thirty-two bytes ok."


def accepted(endpoint_id: str = FLUX, **given: Any) -> Job:
    return accept(Wanted(model=endpoint_id, input=given or {"prompt": "a fox"}), make_caller(usd=100))


def run(endpoint_id: str = FLUX, **given: Any) -> Job:
    return work(accepted(endpoint_id, **given))


# --- Whole jobs ------------------------------------------------------------------------------------------------------

whole = pytest.mark.django_db(transaction=True)


@whole
def test_an_official_model_is_run_by_its_name_and_billed_by_its_metrics(known: Replica) -> None:
    job = run()

    (made,) = known.predictions()
    assert (job.status, job.cost, job.cost_source) == ("succeeded", 40_000_000, "billable_units")
    assert (job.request_id, made["version"], made["input"]) == (made["id"], "hidden", {"prompt": "a fox"})
    assert job.output["output"].endswith(".webp")
    assert [asset.promised for asset in job.assets.all()] == ["image"]


@whole
def test_a_community_model_is_run_by_the_version_that_was_read_and_billed_by_the_second(known: Replica) -> None:
    job = run(SDXL, prompt="a fox", num_outputs=2)

    (made,) = known.predictions()
    assert made["version"] == job.upstream_version != ""
    assert len(job.output["output"]) == 2
    assert Decimal(job.billed_units) == Decimal(str(made["metrics"]["predict_time"]))
    assert 0 < job.cost < 1_000_000


@whole
def test_jobs_of_a_version_that_is_gone_say_so_and_have_the_catalog_read_again_once(
    known: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(discovery, "_enqueue", asked.append)
    AIModel.objects.filter(endpoint_id=SDXL).update(upstream_version="0" * 64)
    published.forget()
    jobs = [accepted(SDXL, prompt="a fox"), accepted(SDXL, prompt="an owl")]

    ended = [work(job) for job in jobs]

    assert [job.error["code"] for job in ended] == ["model_retired"] * 2
    assert "version" in ended[0].error["message"]
    assert [(run.pk, run.trigger) for run in SyncRun.objects.filter(status="queued")] == [(asked[0], "outdated")]
    assert len(asked) == 1


@whole
def test_a_community_model_that_came_with_a_clouds_catalog_is_run_by_its_version(
    known: Replica, tmp_path: Path
) -> None:
    file = tmp_path / "catalog"
    export_file(file)
    SyncRun.objects.all().delete()
    AIModel.objects.all().delete()
    import_file(file)
    published.forget()

    job = run(SDXL, prompt="a fox")

    (made,) = known.predictions()
    assert made["version"] == job.upstream_version
    assert len(made["version"]) == 64


@whole
def test_text_that_comes_in_pieces_is_delivered_as_one_and_objects_as_they_are(known: Replica) -> None:
    assert run("example-labs/chat-small", prompt="hello").output == {"output": "Some words."}
    assert run("openai/whisper", audio="https://files.example/a.mp3").output == {"output": {"text": "Some words."}}


@whole
def test_a_secret_among_the_inputs_goes_to_the_provider_alone(
    known: Replica, staff: Callable[[str], HttpClient]
) -> None:
    job = run("example-labs/hum", prompt="a song", api_key=THEIRS)

    (made,) = known.predictions()
    assert (job.status, made["input"]) == ("succeeded", {"prompt": "a song", "api_key": THEIRS})
    page = staff("superuser").get(f"/admin/jobs/job/{job.pk}/change/").content.decode()
    assert "(secret)" in page
    kept = [list(rows.values_list()) for rows in (Job.objects.all(), ProviderAnswer.objects.all())]
    assert len(kept[1]) > 0
    assert THEIRS not in page + str(kept) + str(AuditEvent.objects.values_list())


@whole
def test_a_refused_input_names_its_fields_and_costs_nothing(known: Replica) -> None:
    job = accepted()
    Job.objects.filter(pk=job.pk).update(input={"aspect_ratio": "7:1"})

    work(job)

    assert job.error["code"] == "provider_rejected_input"
    assert "prompt is required; aspect_ratio: Must be one of" in job.error["message"]
    assert money(job) == (100_000_000_000, 0, 0)


@whole
@pytest.mark.parametrize(
    ("switches", "code"),
    [
        ({"error": "The input or output was flagged as sensitive. Please try again. (E005)"}, "content_refused"),
        ({"error": "CUDA out of memory (E1001)"}, "provider_error"),
        ({"error": "E6716: the model did not start in time"}, "timeout"),
        ({"abort": True}, "timeout"),
        ({"forget": True}, "provider_error"),
    ],
)
def test_a_run_that_fails_is_told_in_our_codes_and_costs_nothing(
    known: Replica, switches: dict[str, Any], code: str
) -> None:
    known.switch(**switches)

    job = run()

    assert (job.status, job.error["code"], job.charge) == ("failed", code, 0)


@whole
def test_a_cancel_is_passed_on_and_ends_the_job_as_canceled(known: Replica) -> None:
    known.switch(processing_ms=10_000)
    job = work(accepted(), lambda job: bool(job.request_id))

    cancel(job)
    work(job)

    assert job.status == "canceled"
    assert [made["status"] for made in known.predictions()] == ["canceled"]


@whole
def test_a_submit_whose_answer_was_lost_is_found_and_not_sent_again(known: Replica) -> None:
    known.switch(lose=1)

    job = run()

    (made,) = known.predictions()
    assert (job.status, job.request_id) == ("succeeded", made["id"])


@whole
def test_no_credit_is_our_trouble_and_staff_are_told(known: Replica) -> None:
    known.switch(credit=False)

    job = run()

    assert (job.status, job.error["code"]) == ("failed", "provider_unavailable")
    assert Alert.objects.filter(code="provider_locked", subject="replicate").exists()


@whole
def test_its_webhook_has_a_job_looked_at_at_once(known: Replica, settings: Any, client: HttpClient) -> None:
    with Receiver() as receiver:
        settings.PUBLIC_URL = receiver.url.removesuffix("/hook")
        job = work(accepted(), lambda job: bool(job.request_id))
        deadline = time.monotonic() + 10
        while not receiver.deliveries:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    (delivery,) = receiver.deliveries
    replicate_webhooks.secret.refresh()
    Job.objects.filter(pk=job.pk).update(next_at=timezone.now() + timedelta(hours=1))
    headers = {name: value for name, value in delivery.headers.items() if name.lower().startswith("webhook-")}

    answer = client.post(
        f"/webhooks/replicate/{job.pk}/{job.token}", delivery.raw, content_type="application/json", headers=headers
    )

    assert (answer.status_code, orjson.loads(answer.content)) == (200, {"detail": "noted"})
    assert work(job).status == "succeeded"


@whole
def test_what_runs_on_a_clients_own_key_is_watched_closely_instead_of_by_webhooks_that_nobody_can_check(
    known: Replica, settings: Any
) -> None:
    settings.GENFEED_MODE, settings.PUBLIC_URL = "core", "https://genfeed.example"
    caller = make_caller(usd=100)
    wanted = Wanted(model=FLUX, input={"prompt": "a fox"}, provider_key=KEY)

    own = work(accept(wanted, caller), lambda job: bool(job.request_id))

    (made,) = known.predictions()
    assert (own.account != "", made["webhook"]) == (True, "")
    assert own.next_at is not None
    assert own.next_at - timezone.now() < timedelta(seconds=1)
    assert work(own).status == "succeeded"


@whole
@pytest.mark.parametrize(("key", "state"), [("r8_wrong", None), (KEY, "valid")])
def test_a_clients_own_key_is_checked(replica: Replica, settings: Any, key: str, state: str | None) -> None:
    settings.GENFEED_MODE = "core"

    if state is None:
        with pytest.raises(ApiError, match="Replicate refuses this key"):
            check_new("replicate", key)
    else:
        assert check_new("replicate", key).state == state


@whole
def test_a_file_of_the_clients_is_brought_to_replicates_storage(known: Replica) -> None:
    provider = queue.open_queue("replicate")
    content = b"RIFF" + bytes(range(256))

    address = provider.upload(io.BytesIO(content), name="a.wav", content_type="audio/wav", size=len(content))
    provider.close()

    assert address.startswith(f"{known.url}/files/")


# --- Answers of Replicate, as documented and recorded ----------------------------------------------------------------


def answering(monkeypatch: pytest.MonkeyPatch, *answers: httpx.Response | Exception) -> tuple[Any, list[httpx.Request]]:
    """A queue whose provider gives these answers, and what it was asked."""
    asked: list[httpx.Request] = []
    waiting = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    provider: Any = queue.open_queue("replicate", KEY)
    provider._connections._idle.append(httpx.Client(transport=httpx.MockTransport(answer)))
    return provider, asked


def problem(code: int, **body: Any) -> httpx.Response:
    return httpx.Response(code, json=body, headers={"content-type": "application/problem+json"})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(402, title="Insufficient credit", detail="…", status=402), LockedError),
        (problem(401, title="Unauthenticated", detail="…", status=401), queue.KeyRefusedError),
        (problem(422, title="Invalid version or not permitted", detail="…", status=422), queue.VersionGoneError),
        (problem(404, detail="not found", status=404), RefusedError),
        (problem(500, detail="oops"), UnclearError),
        (httpx.Response(201, json={"status": "starting"}), UnclearError),
        (httpx.ReadTimeout("late"), UnclearError),
        (httpx.ConnectError("down"), NotAcceptedError),
    ],
)
def test_a_submit_was_accepted_or_was_not_or_it_is_unclear(
    monkeypatch: pytest.MonkeyPatch, answer: Any, kind: type[Exception]
) -> None:
    provider, asked = answering(monkeypatch, answer)

    with pytest.raises(kind):
        provider.submit(FLUX, {"prompt": "x"})

    assert len(asked) == 1


def test_the_wait_of_a_429_is_read_from_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, _ = answering(monkeypatch, problem(429, detail="… resets in ~5s.", status=429, retry_after=5))

    with pytest.raises(NotAcceptedError) as refused:
        provider.submit(FLUX, {})

    assert refused.value.retry_after == 5.0


@pytest.mark.parametrize(
    ("version", "path", "fields"),
    [
        ("", f"/v1/models/{FLUX}/predictions", {"input"}),
        ("5c7d", "/v1/predictions", {"input", "version"}),
    ],
)
def test_a_version_is_sent_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, version: str, path: str, fields: set[str]
) -> None:
    provider, asked = answering(monkeypatch, httpx.Response(201, json={"id": "p1"}))

    assert provider.submit(FLUX, {"prompt": "x"}, version=version).request == Request(FLUX, "p1")

    assert (asked[0].url.path, set(orjson.loads(asked[0].content))) == (path, fields)
    assert "idempotency-key" not in asked[0].headers


def test_a_webhook_that_is_not_https_is_not_sent_to_replicate_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, asked = answering(monkeypatch, *[httpx.Response(201, json={"id": "p1"})] * 2)

    provider.submit(FLUX, {}, webhook_url="http://media.example/hook")
    provider.submit(FLUX, {}, webhook_url="https://media.example/hook")

    assert [orjson.loads(one.content).get("webhook") for one in asked] == [None, "https://media.example/hook"]


def test_a_file_that_comes_as_a_stream_is_sent_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As object storages give them: they can be read onwards and not sought in."""

    class Stream:
        def __init__(self, content: bytes) -> None:
            self._file = io.BytesIO(content)

        def read(self, size: int = -1) -> bytes:
            return self._file.read(size)

    content = b"RIFF" + bytes(range(256))
    provider, asked = answering(monkeypatch, httpx.Response(201, json={"urls": {"get": "https://replicate/f"}}))

    stream: Any = Stream(content)
    provider.upload(stream, name="a.wav", content_type="audio/wav", size=len(content))

    assert content in asked[0].read()


@pytest.mark.parametrize("following", ["{url}/predictions?cursor=again", "https://elsewhere.example/predictions", 5])
def test_half_a_list_of_predictions_is_no_word_that_a_run_is_lost(
    monkeypatch: pytest.MonkeyPatch, settings: Any, following: Any
) -> None:
    settings.REPLICATE_URL = "https://replicate.example/v1"
    following = following.format(url=settings.REPLICATE_URL) if isinstance(following, str) else following
    page = {"results": [{"id": "p1", "model": FLUX}], "next": following}
    provider, asked = answering(monkeypatch, *[httpx.Response(200, json=page) for _ in range(40)])

    with pytest.raises(UnreachableError, match="to its end"):
        provider.find(FLUX, since=timezone.now())

    assert {one.url.host for one in asked} == {"replicate.example"}


def test_what_has_outputs_while_it_runs_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    running = httpx.Response(200, json={"id": "p1", "status": "processing", "output": ["https://x/y.png"]})
    provider, _ = answering(monkeypatch, running)

    assert provider.progress(Request(FLUX, "p1")).state == "running"


@pytest.mark.parametrize(
    ("prediction", "told"),
    [
        ({"status": "canceled"}, (499, "client_cancelled")),
        ({"status": "aborted"}, (504, "startup_timeout")),
        ({"status": "failed", "error": "something (E9999)"}, (500, "")),
    ],
)
def test_aborted_and_canceled_are_two_things(prediction: dict[str, Any], told: tuple[int, str]) -> None:
    assert failure_of(prediction) == told


@pytest.mark.parametrize(
    ("metrics", "unit", "count"),
    [
        ({"predict_time": 8.695100636, "image_count": 1}, "images", "1"),
        ({"predict_time": 8.695100636}, "compute seconds", "8.695100636"),
        ({"predict_time": 8.695100636}, "images", None),
        ({"video_output_duration_seconds": 5, "predict_time": 90.1}, "seconds", "5"),
        ({"video_output_duration_seconds": -5}, "seconds", None),
        ({"video_output_duration_seconds": "NaN"}, "seconds", None),
    ],
)
def test_units_are_counted_by_the_metric_of_what_was_quoted(metrics: Any, unit: str, count: str | None) -> None:
    found = counts_of({"status": "succeeded", "metrics": metrics}).get(unit)

    assert found == (None if count is None else Decimal(count))


def test_aborted_runs_are_free() -> None:
    assert counts_of({"status": "aborted", "metrics": {}})["images"] == 0


# --- Webhooks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> replicate_webhooks.Secret:
    """The account's secret, known and not to be asked for again."""
    found = replicate_webhooks.Secret()
    monkeypatch.setattr(replicate_webhooks, "secret", found)
    monkeypatch.setattr(replicate_webhooks, "fetch", lambda: SECRET)
    found.refresh()
    return found


def headers_of(body: bytes, *, key: bytes = SECRET, at: float | None = None, more: str = "") -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    signed = base64.b64encode(hmac.new(key, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"{more}v1,{signed}"}


BODY = b'{"id":"p1","status":"succeeded"}'


def test_a_webhook_signed_with_the_accounts_secret_is_taken(secret: Any) -> None:
    told = replicate_webhooks.verify(headers_of(BODY, more="v1,AAAA v1a,BBBB "), BODY)

    assert (told.request_id, told.status) == ("p1", "succeeded")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (headers_of(BODY, key=b"another"), BODY),
        (headers_of(BODY, at=time.time() - 400), BODY),
        ({**headers_of(BODY), "webhook-timestamp": "9" * 400}, BODY),
        ({**headers_of(BODY), "webhook-timestamp": "9" * 5000}, BODY),
        (headers_of(BODY), BODY.replace(b"p1", b"p2")),
        ({}, BODY),
        (headers_of(b"[]"), b"[]"),
    ],
)
def test_a_webhook_that_is_not_genuine_is_refused(secret: Any, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(NotGenuineError):
        replicate_webhooks.verify(headers, body)


def test_before_the_secret_is_known_nothing_is_decided_and_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    found = replicate_webhooks.Secret()
    monkeypatch.setattr(replicate_webhooks, "secret", found)
    monkeypatch.setattr(found, "refresh", lambda: None)

    with pytest.raises(UndecidedError):
        replicate_webhooks.verify(headers_of(BODY), BODY)


def test_without_a_key_nobody_is_asked_for_the_secret(settings: Any) -> None:
    settings.REPLICATE_API_TOKEN, settings.REPLICATE_URL = "", "http://127.0.0.1:1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx, "get", lambda *_, **__: pytest.fail("asked without a key"))

        assert replicate_webhooks.fetch() == b""


def test_the_secret_is_read_from_replicates_own_answer(replica: Replica) -> None:
    assert replicate_webhooks.fetch() == b"replicate sandbox signs with it."
