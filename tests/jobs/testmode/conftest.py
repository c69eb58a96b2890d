"""A client with a live and a test key, and a sandbox that runs its test jobs."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.models import AIModel, SchemaVersion
from genfeed.clients import keys
from genfeed.clients.keys import Caller
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import top_up
from tests.jobs.doubles import USD
from tests.pricing.estimates.sold import IMAGES_OUT, NUM_IMAGES, PROMPT, make_sold
from tests.sandbox_server import RunningSandbox

MODEL = "fal-ai/flux/dev"
SCOPES = ("jobs:write", "jobs:read", "usage:read", "webhooks", "keys", "models:read", "estimates")


@pytest.fixture
def model(fal: RunningSandbox, settings: Any, db: None) -> AIModel:
    """A model of fal's, with its document; no key of fal's is set. Requests take no time."""
    settings.TEST_SANDBOX_URL = fal.base_url
    settings.SSRF_ALLOW = []
    settings.FAL_KEY = settings.FAL_ADMIN_KEY = ""
    # Nobody is there: whatever goes to a provider fails.
    for name in ("FAL_PLATFORM_URL", "FAL_QUEUE_URL", "FAL_RUN_URL", "FAL_REST_URL"):
        setattr(settings, name, "http://127.0.0.1:9")
    fal.faults(processing_ms=0)
    sold = make_sold(MODEL, inputs=[PROMPT, NUM_IMAGES], outputs=IMAGES_OUT)
    return with_document(sold, fal.model(MODEL)["openapi"])


def with_document(model: AIModel, document: dict[str, Any]) -> AIModel:
    """Gives a model the document that its schema was mapped from."""
    version = SchemaVersion.objects.get(model=model)
    content = {**version.unpacked, "document": document}
    SchemaVersion.objects.filter(pk=version.pk).update(content=SchemaVersion.pack(content))
    return model


@pytest.fixture
def acme(model: AIModel) -> Client:
    client = Client.objects.create(name="Acme", jobs_per_minute=10_000)
    top_up(client.pk, 10 * USD, actor=SYSTEM, reason="paid")
    return client


def key_of(client: Client, *, is_test: bool) -> str:
    return keys.create_key(client, actor=SYSTEM, scopes=SCOPES, is_test=is_test)[1]


@pytest.fixture
def tester(acme: Client) -> Caller:
    caller = keys.find_caller(key_of(acme, is_test=True))
    assert caller is not None
    return caller


@pytest.fixture
def api(acme: Client) -> Callable[[bool], HttpClient]:
    """The API with a test key, or with a live one."""

    def make(is_test: bool) -> HttpClient:
        return HttpClient(headers={"Authorization": f"Bearer {key_of(acme, is_test=is_test)}"})

    return make
