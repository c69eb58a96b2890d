"""A client with an endpoint, a receiver on this machine, and a sender that is driven by hand."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import OutboxEvent
from jobs.webhooks.endpoints import make_endpoint
from jobs.webhooks.models import WebhookEndpoint
from jobs.webhooks.sender import Sender
from tests.sandbox.receiver import Receiver

PATIENCE_SECONDS = 15
Listen = Callable[..., WebhookEndpoint]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """An address that this installation may reach, though it is not on the internet."""
    with Receiver() as one:
        settings.SSRF_ALLOW = [*settings.SSRF_ALLOW, one.url.split("/")[2]]
        yield one


@pytest.fixture
def listen(receiver: Receiver) -> Listen:
    """Makes an endpoint of a client at the receiver; `secrets` keeps what only its maker sees."""

    def make(client: Client | None = None, *events: str, url: str = "", **options: Any) -> WebhookEndpoint:
        client = client or Client.objects.get_or_create(name="Acme")[0]
        endpoint, secret = make_endpoint(
            client.pk, url=url or receiver.url, events=events or ["*"], actor=SYSTEM, **options
        )
        endpoint.told_secret = secret  # type: ignore[attr-defined]
        return endpoint

    return make


@pytest.fixture
def sender() -> Iterator[Sender]:
    one = Sender(threads=4)
    yield one
    one.drain()


@pytest.fixture
def work(sender: Sender) -> Callable[[], None]:
    """Works until nothing is due any more."""

    def until_idle() -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while sender.tick() or sender._running:
            assert time.monotonic() < deadline, "the sender finds no end"
            sender._wait(0.01)

    return until_idle


def tell(client_id: int | None, kind: str = "balance.low", **payload: Any) -> OutboxEvent:
    """An event in the outbox."""
    payload = payload or {"threshold": "1"}
    return OutboxEvent.objects.create(kind=kind, subject="x", client_id=client_id, payload=payload)
