"""An installation with one row of everything that an address may name, of one client: for whoever must not see it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as HttpClient
from django.utils import timezone
from django_q.models import OrmQ, Task
from django_q.signing import SignedPackage

from catalog import published
from catalog.models import AIModel, SyncRun
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client, ProviderKey
from genfeed.clients.sealing import seal
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, NoticeChannel
from jobs.assets.models import Asset
from jobs.assets.storage import storage
from jobs.models import Job
from pricing.estimates import facts
from pricing.ledger.accounts import top_up
from pricing.models import Bill, Budget, Calibration, ExistingModel, Recommendation
from pricing.money import NANO_PER_USD
from tests import kept_rows
from tests.factories import make_model, make_provider, publish_now
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, make_sold

MODEL = "fal-ai/flux/dev"
FOX = {"model": MODEL, "input": {"prompt": "a fox"}}
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\0\x02\x08\x02\0\0\0" + b"\0" * 4 + b"\0\0\0\0IEND\xaeB\x60\x82"
STEP = {"name": "a", **FOX}


@dataclass
class World:
    """What stands for the parameters of addresses, and whose all of it is."""

    client: Client
    key: str
    ids: dict[str, Any] = field(default_factory=dict)


_made: list[World] = []


def make_world() -> World:
    """A model that is sold, a client with money, and through its own key one of everything that a client has.

    Really made once; after that its rows are put back.
    """
    kept_rows.once(("world",), lambda: _made.append(_make()))
    published.forget()
    facts.forget()
    made = deepcopy(_made[-1])
    name = Asset.objects.get(pk=made.ids["asset_id"]).storage_name
    if not storage().exists(name):
        # A request to delete it was undone, but for this.
        storage().save(name, ContentFile(PNG))
    return made


def _make() -> World:
    provider = make_provider()
    model: AIModel = make_sold(MODEL, inputs=[PROMPT], outputs=IMAGES_OUT)
    publish_now()
    client = Client.objects.create(name="Qwertz and Sons", jobs_per_minute=10_000)
    top_up(client.pk, 100 * NANO_PER_USD, actor=SYSTEM, reason="paid")
    row, key = create_key(client, actor=SYSTEM, scopes=["admin"])
    http = HttpClient(headers={"Authorization": f"Bearer {key}"})

    def made(path: str, body: Any) -> dict[str, Any]:
        answer = http.post(f"/api/v1{path}", orjson.dumps(body), content_type="application/json")
        assert answer.status_code in (200, 201, 202), (path, answer.content)
        told: dict[str, Any] = answer.json()
        return told

    job = made("/jobs", FOX)["id"]
    batch = made("/batches", {"model": MODEL, "prompts": ["a fox"]})["id"]
    endpoint = made("/webhook-endpoints", {"url": "https://example.com/hook", "events": ["*"]})["id"]
    delivery = made(f"/webhook-endpoints/{endpoint}/test", {})["id"]
    workflow = made("/workflows", {"steps": [STEP]})["id"]
    template = made("/workflow-templates", {"name": "t", "steps": [STEP]})["id"]
    own_key = made("/keys", {"name": "second", "scopes": ["keys"]})["id"]
    upload = http.post("/api/v1/uploads", {"file": SimpleUploadedFile("a.png", PNG)}).json()["id"]
    announced = http.post("/api/v1/uploads/resumable", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "10"})
    Job.objects.filter(pk=job).update(token="a" * 40)
    now = timezone.now()
    rows = {
        "bill": Bill.objects.create(provider=provider, request_id="r", endpoint_id=MODEL, at=now, state="quarantined"),
        "recommendation": Recommendation.objects.create(
            kind="retire",
            model=model,
            subject=f"model:{model.pk}",
            title="t",
            does={"switch": "off", "models": [f"fal:{MODEL}"]},
        ),
        "calibration": Calibration.objects.create(model=model, inputs=[{"prompt": "a fox"}]),
        "existingmodel": ExistingModel.objects.create(
            legacy_id=MODEL, provider_name="fal", name="flux", model=model, pricing={"fixedPrice": 0.05}
        ),
        "own_model": make_model("acme/own", origin="manual"),
        "alert": Alert.objects.create(code="c", subject="s", title="t"),
        "noticechannel": NoticeChannel.objects.get_or_create(name="webhook")[0],
        "providerkey": ProviderKey.objects.create(
            client=client, provider="fal", sealed=seal("k"), fingerprint="f" * 24, hint="1234"
        ),
        "syncrun": SyncRun.objects.create(
            provider=provider, trigger="command", status="succeeded", started_at=now, finished_at=now
        ),
        "budget": Budget.objects.create(client=client, limit=10**12, period="month"),
        "success": Task.objects.create(id="1" * 32, name="a", func="f", started=now, stopped=now, success=True),
        "failure": Task.objects.create(id="2" * 32, name="b", func="f", started=now, stopped=now, success=False),
        "ormq": OrmQ.objects.create(
            key="elsewhere", payload=SignedPackage.dumps({"id": "1", "name": "a", "func": "f"})
        ),
    }
    ids = {
        "model_id": MODEL, "job_id": job, "batch_id": batch, "endpoint_id": endpoint, "delivery_id": delivery,
        "workflow_id": workflow, "template_id": template, "key_id": own_key, "asset_id": upload,
        "resumable": announced.headers["Location"].rpartition("/")[2], "provider": "fal", "month": f"{now:%Y-%m}",
        "run_id": 1, "video_id": job, "model": model.pk, "apikey": row.pk, "client_id": client.pk,
        "account": client.account.pk, "provider_pk": provider.pk, **{name: one.pk for name, one in rows.items()},
    }  # fmt: skip
    return World(client, key, ids)
