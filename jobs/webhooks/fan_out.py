"""From events to deliveries: each event of the outbox becomes a message to every address that has chosen it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from catalog.models import AIModel
from catalog.offers import Offer
from genfeed.clients.restrictions import restriction_of
from genfeed.journal.models import OutboxEvent
from jobs.batches.rendering import render_batch
from jobs.ids import new_id
from jobs.models import Batch, Job, WorkflowRun
from jobs.protocols.fal import webhooks as fal
from jobs.testmode.mode import livemode_in, without_mark
from jobs.testmode.triggers import triggers_of
from jobs.webhooks.kinds import OF_A_BATCH, OF_A_WORKFLOW, TO_OWN_URL, is_chosen
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookMessage
from jobs.webhooks.ordering import line_up
from jobs.webhooks.rendering import job_data, message_body
from jobs.workflows.rendering import render_workflow
from pricing import sql
from pricing.existing.kept_offers import kept_offers
from pricing.margins.book import RuleBook, load_book
from pricing.models import ModelPricing
from pricing.selling.offers import Sellable, load_sellables, offers_of

logger = logging.getLogger(__name__)

_ANY = "SELECT 1 FROM journal_outboxevent WHERE delivered_at IS NULL LIMIT 1"
KEEPS_TRYING = timedelta(days=1)
# Events of one round.
MOST_EVENTS = 200
# What staff decided and why is theirs.
_NOT_FOR_CLIENTS = ("reason",)


@dataclass(frozen=True)
class Address:
    """Where a message goes: an endpoint, or the `webhook_url` of a job, batch or workflow."""

    client_id: int
    url: str
    endpoint: WebhookEndpoint | None = None


def fan_out(limit: int = MOST_EVENTS) -> int:
    """Makes the messages and deliveries of up to `limit` events, each once whoever else does so; returns how many."""
    waiting = OutboxEvent.objects.filter(delivered_at=None).order_by("pk")
    if not sql.rows(_ANY):
        return 0
    with transaction.atomic(durable=True):
        # Not skipping what others hold: whoever comes second waits, and deliveries are made in the order of events.
        events = list(waiting.select_for_update()[:limit])
        now = timezone.now()
        maker = _Maker(events, now)
        for event in events:
            try:
                maker.make(event)
            except DatabaseError:
                raise
            except Exception:
                # One event that can't be told must not keep all others from being told.
                logger.exception("event %s (%s) could not be made a message", event.pk, event.kind)
        WebhookMessage.objects.bulk_create(maker.messages)
        WebhookDelivery.objects.bulk_create(line_up(maker.deliveries))
        OutboxEvent.objects.filter(pk__in=[event.pk for event in events]).update(delivered_at=now)
    return len(events)


class _Maker:
    """Reads once what all events of a round need."""

    def __init__(self, events: Iterable[OutboxEvent], now: datetime) -> None:
        self._now = now
        self.messages: list[WebhookMessage] = []
        self.deliveries: list[WebhookDelivery] = []
        self._endpoints: dict[int, list[WebhookEndpoint]] = defaultdict(list)
        events = list(events)
        endpoints = WebhookEndpoint.objects.filter(is_active=True, client__is_active=True)
        endpoints = endpoints.select_related("client__test_of")
        if all(event.client_id is not None for event in events):
            endpoints = endpoints.filter(client_id__in={event.client_id for event in events})
        for endpoint in endpoints:
            self._endpoints[endpoint.client_id].append(endpoint)
        jobs = {event.payload["job"] for event in events if event.kind.startswith("job.")}
        self._urls = _urls(Job.objects.filter(pk__in=jobs))
        # Told in the form of the protocol that the job came by.
        others = Job.objects.filter(pk__in=list(self._urls)).exclude(protocol="") if self._urls else Job.objects.none()
        self._protocols: dict[str, str] = dict(others.values_list("pk", "protocol"))
        if batches := {event.payload["batch"] for event in events if event.kind in OF_A_BATCH}:
            self._urls |= _urls(Batch.objects.filter(pk__in=batches))
        if workflows := {event.payload["workflow"] for event in events if event.kind in OF_A_WORKFLOW}:
            self._urls |= _urls(WorkflowRun.objects.filter(pk__in=workflows))
        self._jobs: dict[str, Job] = {}
        self._models: dict[tuple[str, str], tuple[list[Sellable], dict[int, Offer]]] = {}
        self._forecasts: dict[int, bool] = {}
        self._book: RuleBook | None = None

    def make(self, event: OutboxEvent) -> None:
        if self._is_lost(event):
            return
        for client_id, addresses in self._addresses(event).items():
            for kind, data in self._told(event, client_id, addresses[0]):
                chosen = [one for one in addresses if one.endpoint is None or is_chosen(kind, one.endpoint.events)]
                if chosen:
                    self._add(event, client_id, kind, data, chosen)
        if event.subject in self._protocols and event.kind in fal.KINDS:
            self._add_fal(event)

    def _is_lost(self, event: OutboxEvent) -> bool:
        """Whether the event is of a test job that is to lose its webhooks."""
        if not event.kind.startswith("job.") or livemode_in(event.payload):
            return False
        job = self._job(event.payload["job"])
        return triggers_of(job.metadata, job.input).loses_webhooks

    def _addresses(self, event: OutboxEvent) -> dict[int, list[Address]]:
        """Every address that may want this event, by client."""
        found: dict[int, list[Address]] = defaultdict(list)
        is_of_model = event.kind.startswith("model.")
        for client_id in self._endpoints if event.client_id is None else [event.client_id]:
            for one in self._endpoints.get(client_id, ()):
                # What became available is told as added, whatever it was recorded as.
                if is_chosen(event.kind, one.events) or (is_of_model and "model.added" in one.events):
                    found[client_id].append(Address(client_id, one.url, one))
        url = self._urls.get(event.subject) if event.kind in TO_OWN_URL else None
        if url and event.subject not in self._protocols and event.client_id is not None:
            found[event.client_id].append(Address(event.client_id, url))
        return found

    def _told(self, event: OutboxEvent, client_id: int, one: Address) -> Iterator[tuple[str, dict[str, Any]]]:
        """How the event reads to this client; nothing where it is not to know."""
        if event.kind.startswith("job."):
            job = self._job(event.payload["job"])
            yield event.kind, job_data(job, event.kind, event.payload["number"])
        elif event.kind.startswith("batch."):
            yield event.kind, render_batch(Batch.objects.select_related("client").get(pk=event.payload["batch"]))
        elif event.kind.startswith("workflow."):
            run = WorkflowRun.objects.select_related("client").get(pk=event.payload["workflow"])
            yield event.kind, render_workflow(run, shows_cost=settings.GENFEED_MODE == "core")
        elif event.kind.startswith("model."):
            yield from self._model(event, one)
        else:
            yield event.kind, without_mark(event.payload)

    def _model(self, event: OutboxEvent, one: Address) -> Iterator[tuple[str, dict[str, Any]]]:
        """Models that the client may use and that are offered; prices are its own."""
        said = {name: value for name, value in event.payload.items() if name not in _NOT_FOR_CLIENTS}
        assert one.endpoint is not None  # noqa: S101 - events of models go to endpoints alone
        # Test sides have no terms of their own.
        client = one.endpoint.client.test_of or one.endpoint.client
        may = restriction_of([client.allowed_models], [client.denied_models])
        if may is not None and not may.permits(said["provider"], said["id"]):
            return
        if not said["enabled"] and event.kind != "model.retired":
            return
        kind = event.kind
        if kind == "model.price_changed":
            # The first price is what puts a new model on sale.
            if event.pk not in self._forecasts:
                self._forecasts[event.pk] = _is_forecast(said)
            if self._forecasts[event.pk]:
                return
            is_first = said["previous"].get("amount") is None and settings.GENFEED_MODE == "cloud"
            kind = "model.added" if is_first else kind
        yield kind, self._own_price(said, client.pk)

    def _own_price(self, said: dict[str, Any], client_id: int) -> dict[str, Any]:
        self._book = self._book or load_book()
        if not self._book.own_scope(client_id):
            return said
        said = {name: value for name, value in said.items() if name != "previous"}
        sold, kept = self._sold(said["provider"], said["id"])
        offers = offers_of(sold, self._book, client_id=client_id, kept=kept)
        return said | {"price": next((offer.price for offer in offers.values()), None)}

    def _sold(self, provider: str, endpoint_id: str) -> tuple[list[Sellable], dict[int, Offer]]:
        """A model as it is sold, read once for all the clients that are told of it."""
        address = (provider, endpoint_id)
        if address not in self._models:
            rows = AIModel.objects.filter(provider__slug=provider, endpoint_id=endpoint_id)
            keys = list(rows.values_list("pk", flat=True))
            self._models[address] = (load_sellables(keys), kept_offers(keys))
        return self._models[address]

    def _job(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            self._jobs[job_id] = Job.objects.get(pk=job_id)
        return self._jobs[job_id]

    def _add(
        self, event: OutboxEvent, client_id: int, kind: str, data: dict[str, Any], addresses: Sequence[Address]
    ) -> None:
        endpoint = addresses[0].endpoint
        livemode = livemode_in(event.payload) and not (endpoint and endpoint.client.is_test)
        message = WebhookMessage(
            id=new_id("msg"),
            client_id=client_id,
            kind=kind,
            subject=event.subject,
            body=message_body(kind, event.created_at, data, livemode=livemode),
            created_at=self._now,
        )
        self.messages.append(message)
        self.deliveries += [delivery_of(message, one, self._now) for one in addresses]

    def _add_fal(self, event: OutboxEvent) -> None:
        job = self._job(event.subject)
        message = WebhookMessage(
            id=new_id("msg"),
            client_id=job.client_id,
            kind=event.kind,
            subject=job.pk,
            body=fal.message_body(job),
            protocol=job.protocol,
            created_at=self._now,
        )
        self.messages.append(message)
        self.deliveries.append(delivery_of(message, Address(job.client_id, job.webhook_url), self._now))


def _is_forecast(said: dict[str, Any]) -> bool:
    """Whether only what such requests took lately has changed: a price of the past tells nobody of a new one."""
    if any(said["price"].get(name) != said["previous"].get(name) for name in ("amount", "unit", "currency")):
        return False
    learned = ModelPricing.objects.filter(model__provider__slug=said["provider"], model__endpoint_id=said["id"])
    return learned.filter(default_confidence__in=("historical", "bounded")).exists()


def _urls(rows: QuerySet[Any]) -> dict[str, str]:
    """The addresses of single jobs, batches or workflows, by id."""
    return dict(rows.exclude(webhook_url="").values_list("pk", "webhook_url"))


def delivery_of(message: WebhookMessage, to: Address, now: datetime) -> WebhookDelivery:
    """A delivery that is due now, not saved."""
    return WebhookDelivery(
        id=new_id("whd"),
        message=message,
        client_id=to.client_id,
        endpoint=to.endpoint,
        lane=to.endpoint.pk if to.endpoint else f"jobs of {to.client_id}",
        url=to.url,
        next_at=now,
        give_up_at=now + KEEPS_TRYING,
        created_at=now,
    )
