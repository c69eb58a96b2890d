"""Whether the demo may run here: what it books is booked for good, so it goes nowhere near real work."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
from django.conf import settings

from genfeed.clients.models import Client
from genfeed.demo.habits import PREFIX
from jobs.models import OPEN, Job
from pricing.models import LedgerTransaction, UsageRecord

FRESH = (
    "Give the demo a folder of its own, with a database of its own: GENFEED_VAR_DIR=var/demo manage.py demo, and then "
    "GENFEED_VAR_DIR=var/demo manage.py up."
)


def why_not() -> str:
    """Why the demo does not run on this database, and what to do; "" where it may."""
    if Client.objects.filter(name__startswith=PREFIX).exists():
        return f"The demo was here before, and its ledger can't be taken back. {FRESH}"
    if count := Job.objects.filter(status__in=OPEN).count():
        return f"{count} jobs on this database have not ended: it is in use. {FRESH}"
    if count := Job.objects.count() or UsageRecord.objects.count():
        return f"There are {count} jobs of clients on this database, which the demo must not be mixed with. {FRESH}"
    if LedgerTransaction.objects.exists():
        return f"Money of clients is booked on this database, which the demo must not be mixed with. {FRESH}"
    if settings.FAL_KEY and not _is_here(settings.FAL_QUEUE_URL):
        return f"This installation has a key for fal.ai: it is for real clients. Take the key away (FAL_KEY=). {FRESH}"
    if _is_served():
        return "GenFeed runs on this database, and its dispatcher would take the demo's jobs. Stop it first (Ctrl-C)."
    return ""


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _is_served() -> bool:
    """Whether the sandbox that `up` left the address of still answers."""
    if not settings.SANDBOX_URL:
        return False
    try:
        return httpx.get(f"{settings.SANDBOX_URL}/v1/meta", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
