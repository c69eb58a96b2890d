"""The gate to a provider by one key: a circuit breaker and the order in which dispatchers choose work, both a row.

Failures in a row open it for a while; then one job is tried, and its success closes it. An account that can't pay, or a
key that is not accepted, opens it for longer at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from catalog.providers.queue import LockedError, QueueError
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.models import Alert
from jobs.models import ProviderGate
from pricing import sql

# Failures in a row until it opens, the first time that it stays open, and the longest.
FAILURES = 5
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=2)
BLOCKED_WAIT = timedelta(minutes=5)
OWN_KEY_WAIT = timedelta(seconds=5)


def gate_of(provider: str) -> ProviderGate:
    """The gate's row, locked until the caller's transaction ends: dispatchers choose work one after the other."""
    rows = ProviderGate.objects.select_for_update()
    if gate := rows.filter(name=provider).first():
        return gate
    ProviderGate.objects.get_or_create(name=provider)
    return rows.get(name=provider)


def room(gate: ProviderGate, now: datetime) -> int | None:
    """How many submits the breaker lets through now: none while open, one as a trial, None for any number."""
    if gate.failures < FAILURES and gate.open_until is None:
        return None
    if gate.open_until is not None and gate.open_until > now:
        return 0
    # The trial: until it is known how it went, nobody else tries.
    ProviderGate.objects.filter(pk=gate.pk).update(open_until=now + FIRST_WAIT)
    return 1


def is_shut(name: str) -> bool:
    """Whether nothing goes through now. Where its time is over one may try again, and so it is not."""
    return ProviderGate.objects.filter(name=name, open_until__gt=timezone.now()).exists()


def note_success(provider: str) -> None:
    """A submit was accepted: the gate closes again, if it was open or on its way there."""
    # Looked at first: on SQLite an UPDATE waits for all other writers, also where it finds nothing to change.
    if not sql.rows("SELECT 1 FROM jobs_providergate WHERE name = %s AND failures > 0", provider):
        return
    failed = ProviderGate.objects.filter(name=provider, failures__gt=0)
    if failed.update(failures=0, open_until=None, reason="", changed_at=timezone.now()):
        slug, _, account = provider.partition(":")
        resolve("provider_unreachable", slug)
        if not account:
            resolve("provider_locked", slug)
            resolve("provider_key_refused", slug)


def note_failure(provider: str, reason: str) -> None:
    """A submit did not come through; the fifth in a row opens the gate, and each further one for twice as long."""
    ProviderGate.objects.get_or_create(name=provider)
    now = timezone.now()
    ProviderGate.objects.filter(name=provider).update(failures=F("failures") + 1, reason=reason[:300], changed_at=now)
    gate = ProviderGate.objects.get(name=provider)
    if gate.failures < FAILURES:
        return
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(gate.failures - FAILURES, 10))
    ProviderGate.objects.filter(name=provider).update(open_until=now + wait)
    slug = provider.partition(":")[0]
    raise_alert(
        "provider_unreachable",
        slug,
        f"{slug} does not take our requests",
        f"{gate.failures} submits in a row failed; the last: {reason}. Jobs wait; one is tried every "
        f"{int(wait.total_seconds())} s.",
        level=Alert.Level.CRITICAL,
        url="/admin/jobs/queue/",
    )


def block(provider: str, code: str, title: str, text: str) -> None:
    """Our account or key is refused: nothing is sent for some minutes, and a person is told (`code` of the alert)."""
    ProviderGate.objects.get_or_create(name=provider)
    now = timezone.now()
    ProviderGate.objects.filter(name=provider).update(
        failures=F("failures") + FAILURES, open_until=now + BLOCKED_WAIT, reason=title[:300], changed_at=now
    )
    raise_alert(code, provider, title, text, level=Alert.Level.CRITICAL, url="/admin/jobs/queue/")


def block_for(provider: str, error: QueueError) -> None:
    """Blocks for what a provider said of our account: that it can't pay, or that it does not know our key.

    A client's own key is the client's to mend: nobody else is told, and soon another job tries it.
    """
    if ":" in provider:
        ProviderGate.objects.get_or_create(name=provider)
        ProviderGate.objects.filter(name=provider).update(
            failures=F("failures") + FAILURES,
            open_until=timezone.now() + OWN_KEY_WAIT,
            reason=str(error)[:300],
            changed_at=timezone.now(),
        )
        return
    if isinstance(error, LockedError):
        code, title = "provider_locked", f"Our balance at {provider} is exhausted"
        text = "Top it up; jobs go on by themselves within minutes, or at once by “Try now” on the queue's page."
    else:
        code, title = "provider_key_refused", f"{provider} does not accept our key"
        text = "Check the key in the settings; jobs go on by themselves within minutes after it is right."
    block(provider, code, title, f"{error} {text}")


def reopen(provider: str, *, actor: Actor) -> bool:
    """A person says that the cause is gone: jobs go on at once; audited. False for a gate that was never shut."""
    with transaction.atomic():
        gate = ProviderGate.objects.select_for_update().filter(name=provider).first()
        if gate is None:
            return False
        before = {"failures": gate.failures, "reason": gate.reason}
        gate.failures, gate.open_until, gate.reason, gate.changed_at = 0, None, "", timezone.now()
        gate.save()
        record("provider_gate.reopened", [Change(gate, before, {"failures": 0})], actor=actor)
    return True
