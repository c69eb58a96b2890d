"""A training's result as a model: registered from the job's page, and run by the ordinary code at the sandbox."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client as HttpClient
from django.urls import reverse

from catalog import published
from catalog.models import AIModel
from catalog.providers import fal_keys, queue
from catalog.providers.fal_queue import open_fal_queue
from genfeed.clients.models import Client
from jobs import trained
from jobs.admin.own_models import _notes
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job
from tests.admin.pages import form_data, page_of, read
from tests.jobs.conftest import dispatcher as dispatcher
from tests.jobs.doubles import make_caller, make_job, make_sold
from tests.pricing.estimates.sold import PROMPT, field
from tests.sandbox_server import API_KEY, RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.once]

TRAINER, BASE = "fal-ai/flux-lora-fast-training", "fal-ai/flux-lora"
WEIGHTS = "https://v3.fal.media/files/a/weights.safetensors"
LORAS = field("loras", "array", items=field("loras", "object", fields=[field("path", required=True), field("scale")]))


def run(dispatcher: Dispatcher, job: Job) -> Job:
    """Works until the job has ended."""
    for _ in range(400):
        if not dispatcher.tick():
            dispatcher._wait(0.01)
        job.refresh_from_db()
        if job.has_ended:
            return job
    raise AssertionError(f"{job.pk} is {job.status}: {job.error}")


def test_a_trained_lora_is_registered_from_its_job_and_run(
    fal: RunningSandbox, dispatcher: Dispatcher, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    settings.FAL_KEY = API_KEY
    monkeypatch.setitem(queue._registry, "fal", open_fal_queue)
    file = tmp_path / "two.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(fal.model(one)) for one in (TRAINER, BASE)))
    fal.load_catalog(file)
    fal.faults(processing_ms=0, billing_lag=0)
    fal_keys.key_set.refresh()
    call_command("sync_models", verbosity=0)
    published.forget()
    root = HttpClient()
    root.force_login(User.objects.create_superuser("root", password="x"))
    caller = make_caller(100)
    training = run(
        dispatcher, make_job(caller, model=TRAINER, input={"images_data_url": f"{fal.base_url}/a.zip", "steps": 100})
    )
    weights = training.output["diffusers_lora_file"]["url"]

    sent = form_data(read(root, reverse("admin:own_model_of_job", args=[training.pk])), "own")
    assert (sent["base"], sent["client"]) == ([BASE], [str(caller.client_id)])
    assert orjson.loads(sent["fixed_input"][0]) == {"loras": [{"path": weights}]}
    page = page_of(root.post(reverse("admin:own_model_add"), sent | {"do": "preview"}))
    root.post(reverse("admin:own_model_add"), form_data(page, "own") | {"do": "save"})
    published.forget()
    made = AIModel.objects.get(origin="manual")
    job = run(dispatcher, make_job(caller, model=made.endpoint_id, input={"prompt": "a fox"}))

    assert (job.status, job.endpoint_id, made.enabled) == ("succeeded", made.endpoint_id, True)
    assert job.input["loras"] == [{"path": weights}]
    assert fal.queue()["requests"][0]["endpoint_id"] == BASE
    assert job.charge > 0
    fal_keys.key_set.forget()


def job_of(output: dict[str, Any], inputs: list[dict[str, Any]]) -> Job:
    """A training job that has ended so, and a model with these inputs that runs what it made."""
    base = make_sold("acme/base", inputs=inputs)
    trainer = make_sold("acme/trainer", inputs=[PROMPT])
    AIModel.objects.filter(pk=trainer.pk).update(
        kind="training", metadata={"inference_endpoint_ids": [base.endpoint_id]}
    )
    job = make_job(model="acme/trainer")
    job.model.refresh_from_db()
    job.status, job.output = "succeeded", output
    return job


@pytest.mark.parametrize(
    ("output", "inputs", "fixed"),
    [
        ({"lora_file": {"url": WEIGHTS}, "config_file": {"url": "x"}}, [PROMPT, LORAS], {"loras": [{"path": WEIGHTS}]}),
        ({"lora_file": {"url": WEIGHTS}}, [PROMPT, field("lora_url")], {"lora_url": WEIGHTS}),
        ({"style_id": "abc"}, [PROMPT, field("style_id")], {"style_id": "abc"}),
        ({"video": {"url": "x"}}, [PROMPT, LORAS], {}),
    ],
)
def test_what_a_training_made_fills_the_input_that_takes_it(
    output: dict[str, Any], inputs: list[dict[str, Any]], fixed: dict[str, Any]
) -> None:
    read_of = trained.read(job_of(output, inputs))

    assert (read_of.base.endpoint_id, read_of.fixed_input) == ("acme/base", fixed)


def test_a_job_that_trained_nothing_is_not_registered() -> None:
    assert not trained.is_training(make_job())


@pytest.mark.parametrize(
    ("provider", "until"), [("fal", "2026-01-08 12:00 UTC (FAL_OBJECT_SECONDS)"), ("replicate", "2026-01-01 13:00 UTC")]
)
def test_the_form_says_until_when_the_provider_keeps_the_files(settings: Any, provider: str, until: str) -> None:
    settings.FAL_OBJECT_SECONDS = 7 * 86_400
    finished_at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    job = Job(provider=provider, client=Client(name="Acme"), finished_at=finished_at)

    notes = _notes(job, trained.Trained(None, [], {}, {"weights": WEIGHTS}))

    assert f"until {until}. Put" in notes[-1]


@pytest.mark.parametrize("told", [5, TRAINER, {TRAINER: 1}, None])
def test_a_record_that_names_its_trainers_otherwise_than_as_a_list_is_passed_over(told: Any) -> None:
    make_sold(BASE)
    make_sold(TRAINER)
    AIModel.objects.filter(endpoint_id=BASE).update(metadata={"training_endpoint_ids": told})

    assert trained.bases_of(AIModel.objects.get(endpoint_id=TRAINER)) == []
