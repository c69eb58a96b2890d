"""A client with money, spoken to as fal's clients speak."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import top_up
from tests.jobs.doubles import USD
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

MODEL = "fal-ai/flux/dev"
QUEUE = f"/fal/queue/{MODEL}"


@pytest.fixture
def acme_key(make_key: Callable[..., str]) -> str:
    """A key of a client with 10 USD, and one model."""
    make_sold(MODEL, outputs=IMAGES_OUT)
    text = make_key("jobs:write", "jobs:read")
    top_up(Client.objects.get(name="Acme").pk, 10 * USD, actor=SYSTEM, reason="paid")
    return text


@pytest.fixture
def acme(acme_key: str) -> HttpClient:
    return speaking(acme_key)


def speaking(key: str) -> HttpClient:
    """An HTTP client with a key, as fal's clients send it."""
    return HttpClient(headers={"Authorization": f"Key {key}"})


def post(client: HttpClient, path: str = QUEUE, body: Any = None, **headers: str) -> Any:
    given = {"prompt": "a fox"} if body is None else body
    return client.post(path, orjson.dumps(given), content_type="application/json", headers=headers)
