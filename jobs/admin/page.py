"""What a job's page shows: one answer to "what happened, and why did it cost that"."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from genfeed.journal.models import AuditEvent
from jobs.accepting.secret_inputs import with_hidden
from jobs.ending.quarantine import bill_of, billed_charge
from jobs.fallback.attempts import render_attempts
from jobs.models import Job, ProviderAnswer, Status
from jobs.redaction import redacted
from jobs.testmode.mode import is_test
from jobs.trained import is_training
from jobs.webhooks.models import WebhookDelivery
from pricing.estimates.quotes import Quote
from pricing.ledger.afterwards import charged_for, cost_of
from pricing.models import Bill, LedgerTransaction
from pricing.money import format_usd

LOOKS = {Status.SUCCEEDED: "good", Status.FAILED: "bad", Status.CANCELED: "warn", Status.CANCELING: "warn"}
_EVENTS = 200
_ANSWERS = 50
_LONGEST = 100_000


def page_of(job: Job, *, shows_input: bool) -> dict[str, Any]:
    """Template context of a job's page; `shows_input` also shows what the client sent and got."""
    bill = bill_of(job)
    waits = bool(job.quarantine) and bill is None
    return {
        "look": LOOKS.get(Status(job.status), ""),
        "duration": duration(job),
        "is_test": is_test(job),
        "shows_input": shows_input,
        "input": _text(with_hidden(job.input, job.secret_fields)) if shows_input else "",
        "output": _text(job.output) if shows_input and job.output is not None else "",
        "metadata": _text(job.metadata) if job.metadata and shows_input else "",
        "redacted_input": redacted(with_hidden(job.input, job.secret_fields)),
        "redacted_output": redacted(job.output),
        "attempts": render_attempts(job.fallback),
        "moments": _moments(job),
        "events": [(event, _event_words(event.data, shows_input)) for event in job.events.order_by("number")[:_EVENTS]],
        "quote": Quote.of_json(job.quote),
        "amounts": _amounts(job),
        "ledger": LedgerTransaction.objects.filter(job=job.pk).order_by("pk"),
        "answers": _answers(job) if shows_input else [],
        "answer_count": job.answers.count(),
        "audit": AuditEvent.objects.filter(object_type=job._meta.label_lower, object_id=job.pk).order_by("pk"),
        "deliveries": _deliveries(job),
        "bill": bill,
        "bill_waits": bill is not None and bill.state == Bill.State.QUARANTINED,
        "waits": waits,
        "billed_charge": billed_charge(job) if waits else None,
        "may_retry": job.status in (Status.FAILED, Status.CANCELED),
        "may_cancel": not job.has_ended and job.cancel_requested_at is None,
        "is_training": is_training(job),
        "may_refund": job.has_ended and charged_for(job.pk) > 0,
        "account_url": reverse("admin:pricing_account_of_client", args=[job.client_id]),
    }


def duration(job: Job) -> str:
    """From acceptance to the end, or until now, in words."""
    seconds = ((job.finished_at or timezone.now()) - job.created_at).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _moments(job: Job) -> list[tuple[str, datetime, str]]:
    """The stages that it has passed: name, time, and how long after the one before."""
    stages = [
        ("accepted", job.created_at),
        ("sent to the provider", job.sent_at),
        ("accepted by the provider", job.submitted_at),
        ("started there", job.started_at),
        ("cancel asked for" + (f" by {job.cancel_reason}" if job.cancel_reason else ""), job.cancel_requested_at),
        (f"ended: {job.status}", job.finished_at),
    ]
    passed = sorted(((words, at) for words, at in stages if at), key=lambda stage: stage[1])
    moments, before = [], job.created_at
    for words, at in passed:
        moments.append((words, at, f"+{(at - before).total_seconds():.3f} s"))
        before = at
    return moments


def _event_words(data: dict[str, Any], shows_input: bool) -> str:
    """What an event tells; log lines and messages may quote the input."""
    if shows_input:
        return _text(data) if data else ""
    told = {name: value for name, value in data.items() if isinstance(value, int) or name == "code"}
    hidden = len(data) - len(told)
    return ", ".join([*(f"{name}: {value}" for name, value in told.items()), *(["(hidden)"] if hidden else [])])


def _amounts(job: Job) -> list[tuple[str, str]]:
    rows: list[tuple[str, int | None]] = [
        ("quoted cost", job.quote["cost"]),
        ("quoted price", job.quote["price"]),
        ("held", job.hold_amount),
        ("most that the client allowed", job.max_price),
    ]
    if job.has_ended:
        rows += [
            ("charge at settlement", job.charge),
            ("cost at settlement", job.cost),
            ("charged now, after corrections and refunds", charged_for(job.pk)),
            ("cost in the books now", cost_of(job.pk)),
        ]
    return [(words, f"{format_usd(amount)} USD") for words, amount in rows if amount is not None]


def _answers(job: Job) -> list[tuple[ProviderAnswer, str, str]]:
    return [(answer, _text(answer.headers), answer.body[:_LONGEST]) for answer in job.answers.order_by("pk")[:_ANSWERS]]


def _deliveries(job: Job) -> QuerySet[WebhookDelivery]:
    """Webhooks about the job; they are made while it lives, and found by that time."""
    until = (job.finished_at or timezone.now()) + timedelta(hours=1)
    about = WebhookDelivery.objects.filter(message__created_at__range=(job.created_at, until))
    told = about.filter(message__subject=job.pk, message__client_id=job.client_id)
    return told.select_related("message").order_by("pk")[:_EVENTS]


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()[:_LONGEST]
