"""One attempt of a delivery: claimed by a conditional UPDATE, sent once, and what came of it written down."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from genfeed.clients.sealing import CannotUnsealError
from genfeed.net.addresses import GuardError
from genfeed.net.guarded import GuardedClient
from genfeed.net.signing import signed_headers
from jobs.protocols.fal import webhooks as fal
from jobs.webhooks import endpoints, ordering
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint
from jobs.webhooks.secrets import secret_of_jobs, secrets_of
from pricing import sql

Status = WebhookDelivery.Status
USER_AGENT = "GenFeed/1 (+webhooks)"
SECONDS = 10.0
# Longer than an attempt can take: meanwhile nobody else attempts it.
LEASE = timedelta(seconds=60)
# 5 s, 15 s, 45 s … up to four hours, for a day.
FIRST_WAIT, GROWTH, LONGEST_WAIT = timedelta(seconds=5), 3, timedelta(hours=4)
# Attempts at one address at once, by one sender: a slow one must not keep all others waiting.
MOST_A_LANE = 4
# In the counts of what runs: all lanes of a client together.
_OF_CLIENT = "client "
_KEPT_OF_ANSWER = 500
_ANY = """
SELECT EXISTS (SELECT 1 FROM jobs_webhookdelivery WHERE status = 'pending' AND place IS NOT NULL),
    EXISTS (SELECT 1 FROM jobs_webhookdelivery WHERE status = 'pending' AND place IS NULL AND next_at <= %s)
"""


@dataclass(frozen=True)
class Attempt:
    """A delivery that was claimed, with all that sending it takes."""

    delivery: WebhookDelivery
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. `status` 0: no answer came, `error` says why."""

    status: int = 0
    body: str = ""
    error: str = ""
    retry_after: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether the address wants nothing more."""
        return self.status == 410

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status < 300


def claim(limit: int, busy: Counter[str]) -> list[Attempt]:
    """Up to `limit` due deliveries, claimed for us alone; `busy` counts what runs of each lane, and is kept up."""
    claimed: list[Attempt] = []
    while len(claimed) < limit:
        full = [name for name, running in busy.items() if running >= _most(name)]
        now = timezone.now()
        due = _due(now, full, limit - len(claimed))
        if not due:
            break
        for row in due:
            if any(busy[name] >= _most(name) for name in _names(row)) or len(claimed) >= limit:
                continue
            attempt = _claim(row, now)
            if attempt is not None:
                busy.update(_names(row))
                claimed.append(attempt)
    return claimed


def _due(now: datetime, full: Collection[str], limit: int) -> list[WebhookDelivery]:
    """What was due first, of lanes and clients that are not full: what has no order, and the first of each line."""
    clients = [int(name.removeprefix(_OF_CLIENT)) for name in full if name.startswith(_OF_CLIENT)]
    # Looked at first: most rounds find nothing.
    ((in_line, any_due),) = sql.rows(_ANY, now)
    found: list[WebhookDelivery] = []
    for is_there, some in ((in_line, Q(pk__in=ordering.firsts())), (any_due, Q(place=None))):
        if not is_there:
            continue
        due = WebhookDelivery.objects.filter(some, status=Status.PENDING, next_at__lte=now).exclude(lane__in=full)
        if clients:
            due = due.exclude(client_id__in=clients)
        found += due.select_related("message", "endpoint").order_by("next_at")[:limit]
    return sorted(found, key=lambda row: row.next_at)[:limit]


def _claim(row: WebhookDelivery, now: datetime) -> Attempt | None:
    seen = WebhookDelivery.objects.filter(
        pk=row.pk, status=Status.PENDING, next_at=row.next_at, attempts=row.attempts, place=row.place
    )
    if not seen.update(next_at=now + LEASE, attempts=F("attempts") + 1, attempted_at=now):
        # Another sender got there first.
        return None
    row.attempts += 1
    body = row.message.body.encode()
    try:
        headers = _signed(row, body, now)
    except CannotUnsealError as error:
        apply(row, Outcome(error=str(error)))
        return None
    return Attempt(row, body, {"Content-Type": "application/json", "User-Agent": USER_AGENT, **headers})


def _signed(row: WebhookDelivery, body: bytes, now: datetime) -> dict[str, str]:
    at = int(now.timestamp())
    if row.message.protocol == fal.PROTOCOL:
        return fal.signed_headers(row.message.subject, row.client_id, at=at, body=body)
    own = secrets_of(row.endpoint or secret_of_jobs(row.client_id), now)
    return signed_headers(own, message_id=row.message_id, at=at, body=body)


def send(attempt: Attempt) -> Outcome:
    """Sends it once, without the database. Never raises: what goes wrong is an outcome."""
    try:
        with GuardedClient(seconds=SECONDS, allow=settings.SSRF_ALLOW) as client:
            answer = client.post(attempt.delivery.url, attempt.body, max_bytes=_KEPT_OF_ANSWER, headers=attempt.headers)
    except GuardError as error:
        return Outcome(error=str(error))
    except Exception as error:
        return Outcome(error=type(error).__name__)
    text = answer.body.decode("utf-8", "replace").replace("\x00", "")
    trouble = "" if 200 <= answer.status < 300 else f"answered {answer.status}"
    if 300 <= answer.status < 400:
        trouble += "; redirects are not followed"
    wait = answer.headers.get("retry-after", "") if answer.status in (429, 503) else ""
    retry_after = min(int(wait), 3600) if wait.isascii() and wait.isdecimal() and len(wait) < 10 else 0
    return Outcome(answer.status, text[:_KEPT_OF_ANSWER], trouble, retry_after)


def apply(row: WebhookDelivery, outcome: Outcome) -> bool:
    """Writes down what came of the attempt, unless a later one has begun meanwhile; whether it was written."""
    now = timezone.now()
    columns: dict[str, Any] = {
        "response_status": outcome.status or None,
        "response_body": outcome.body,
        "error": outcome.error[:200],
    }
    if outcome.is_taken:
        columns |= {"status": Status.DELIVERED, "delivered_at": now}
    else:
        at = now + max(wait_after(row.attempts), timedelta(seconds=outcome.retry_after))
        ends = outcome.is_gone or at > row.give_up_at
        columns |= {"status": Status.FAILED} if ends else {"next_at": at}
    own = WebhookDelivery.objects.filter(pk=row.pk, status=Status.PENDING, attempts=row.attempts)
    if not own.update(**columns):
        return False
    if row.endpoint is not None:
        _note(row.endpoint, outcome)
    return True


def _note(endpoint: WebhookEndpoint, outcome: Outcome) -> None:
    if not outcome.is_taken:
        endpoints.note_failure(endpoint, outcome.error, is_gone=outcome.is_gone)
    elif endpoint.failures:
        endpoints.note_success(endpoint)


def wait_after(attempts: int) -> timedelta:
    """The wait after so many attempts, give or take a fifth: receivers that come back are not met by all at once."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * GROWTH ** min(attempts - 1, 12))
    return wait * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


def free_lanes(busy: Counter[str], ended: Iterable[WebhookDelivery]) -> None:
    """Counts attempts that have ended out of their lanes."""
    for name in (name for row in ended for name in _names(row)):
        busy[name] -= 1
        if busy[name] <= 0:
            del busy[name]


def _names(row: WebhookDelivery) -> tuple[str, str]:
    return row.lane, f"{_OF_CLIENT}{row.client_id}"


def _most(name: str) -> int:
    """So many at once: a client leaves others a quarter of what a sender can, however many addresses it has."""
    return max(MOST_A_LANE, settings.WEBHOOK_THREADS * 3 // 4) if name.startswith(_OF_CLIENT) else MOST_A_LANE
