"""How cost grows with clients: 10, 1,000 and 10,000 of them, on PostgreSQL.

`python -m tests.bench.growing_clients SQLite [SIZE …]`: the same there, or with other sizes.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench.inside import Api, claimed, installation, once, run, took
from tests.bench.rows import Row, growing

SIZES = (10, 1_000, 10_000)
MOST = 2.0
# One client in so many has a margin rule of its own.
OWN_RULES = 10
_FLAT = {
    "a key that the process does not know yet": "key",
    "a list for a client with prices of its own, known": "own",
    "webhooks: an event of one client fanned out": "one",
}
_GROWING = {
    "a list for a client with prices of its own, the first of a revision": "first_own",
    "margin rule for all saved, every tenth client with one of its own": "margin",
    "webhooks: an event of all clients, each with an address, a thousand deliveries": "all",
    "20 jobs claimed, each client with two waiting": "claim",
}


def measure(name: str = "PostgreSQL", sizes: Sequence[int] = SIZES) -> Iterator[Row]:
    """One installation that grows."""
    found: dict[int, dict[str, float]] = {}
    with installation("clients", name) as settings:
        for size in sizes:
            found[size] = run(settings, f"growing_clients.inside({size})")
    yield Row(f"clients, {name}", " / ".join(f"{size:,}" for size in sizes))
    for what, key in _FLAT.items():
        yield growing(what, {size: one[key] for size, one in found.items()}, "ms", MOST)
    for what, key in _GROWING.items():
        yield growing(what, {size: one[key] for size, one in found.items()}, "ms")


def inside(size: int) -> dict[str, float]:
    """The server's time, in milliseconds."""
    from django.utils import timezone

    from catalog import published
    from catalog.models import AIModel
    from genfeed.clients import keys
    from genfeed.clients.models import ApiKey, Client
    from genfeed.journal.audit import SYSTEM
    from genfeed.journal.models import OutboxEvent
    from jobs.models import Job
    from jobs.webhooks.fan_out import fan_out
    from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint
    from pricing.margins.rules import Draft, save_rule
    from pricing.models import MarginRule
    from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

    model = AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").first()
    model = model or make_sold("fal-ai/flux/dev", outputs=IMAGES_OUT)
    there = Client.objects.count()
    clients = Client.objects.bulk_create(Client(name=f"Client {number:05}") for number in range(there, size))
    texts = [f"gf_{number:040}" for number in range(there, size)]
    ApiKey.objects.bulk_create(
        ApiKey(client=client, name="main", prefix=text[:8], digest=keys.digest_of(text), scopes=["models:read"])
        for client, text in zip(clients, texts, strict=True)
    )
    WebhookEndpoint.objects.bulk_create(
        WebhookEndpoint(id=f"whe_{client.pk:026}", client=client, url="https://hooks.example/in", events=["*"])
        for client in clients
    )
    MarginRule.objects.bulk_create(
        MarginRule(scope="client", client=client, mode="margin", rate="0.4", starts_at=timezone.now())
        for client in clients[::OWN_RULES]
    )
    _analyze()
    published.forget()
    unknown = iter(texts)
    found = {"key": took(lambda: keys.find_caller(next(unknown)), min(len(texts) - 2, 200))}
    api = Api(texts[0])
    found["first_own"] = once(lambda: api.get("models"))
    found["own"] = took(lambda: api.get("models"), 101)
    rates = itertools.count(50)
    found["margin"] = took(lambda: save_rule(Draft("global", rate=f"0.{next(rates)}"), actor=SYSTEM), 5)

    gone = {"provider": "fal", "id": "fal-ai/gone", "enabled": False}

    def told(client_id: int | None) -> None:
        kind, payload = ("balance.low", {"available": "1"}) if client_id else ("model.retired", gone)
        OutboxEvent.objects.create(kind=kind, subject="x", payload=payload, client_id=client_id)
        fan_out()

    OutboxEvent.objects.filter(delivered_at=None).update(delivered_at=timezone.now())
    found["one"] = took(lambda: told(clients[-1].pk), 31)
    before = WebhookDelivery.objects.count()
    taken = once(lambda: told(None))
    made = WebhookDelivery.objects.count() - before
    found["all"] = 1000 * taken / max(1, made)
    _queue(model, list(Client.objects.all()))
    _analyze()
    found["claim"] = claimed(min(20, size))
    Job.objects.all().delete()
    return found


def _queue(model: Any, clients: Sequence[Any]) -> None:
    """Two jobs of each client, as they wait for their turn."""
    from jobs.models import Job

    Job.objects.bulk_create(
        Job(
            id=f"job_{turn}{client.pk:025}", client=client, model=model, provider="fal", endpoint_id=model.endpoint_id,
            schema_version=1, input={"prompt": "a fox"}, input_digest="d", quote={}, terms={}, hold_amount=1, token="t",
            deadline_seconds=600,
        )
        for turn, client in itertools.product(range(2), clients)
    )  # fmt: skip


def _analyze() -> None:
    """What autovacuum does within a minute of such a load."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    for row in measure(sys.argv[1], [int(size) for size in sys.argv[2:]] or SIZES):
        print(row, flush=True)
