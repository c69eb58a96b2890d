"""Trusting another key of the cloud, by a person who has compared its fingerprint."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from catalog.exchange.signing import BadKeyError, check_public_key, fingerprint
from genfeed.cloud import taking
from genfeed.cloud.downloading import CloudError, configured_cloud
from genfeed.journal.audit import Actor, Change, record
from pricing.models import CloudCatalog


def offered_key() -> str:
    """The key that the cloud says it signs with now; raises CloudError."""
    with configured_cloud() as cloud:
        try:
            return check_public_key(cloud.public_key())
        except BadKeyError as error:
            raise CloudError(str(error)) from None


def repin(public_key: str, typed: str, *, actor: Actor, reason: str = "") -> CloudCatalog:
    """Pins the key whose fingerprint was typed, audited; the next sync takes the whole catalog. Raises CloudError."""
    try:
        key = check_public_key(public_key)
        configured = check_public_key(settings.CLOUD_PUBLIC_KEY) if settings.CLOUD_PUBLIC_KEY else ""
    except BadKeyError as error:
        raise CloudError(str(error)) from None
    if "".join(typed.split()).lower() != fingerprint(key):
        raise CloudError("What was typed is not the fingerprint of this key. Compare it with what the operator says.")
    if configured and configured != key:
        raise CloudError("CLOUD_PUBLIC_KEY names another key. Change it there first, and restart.")
    with transaction.atomic():
        before = taking.had()
        taking.pin(key)
        state = CloudCatalog.objects.get(pk=1)
        was = {"key": fingerprint(before.public_key)} if before else {}
        record("cloud.key_pinned", [Change(state, was, {"key": fingerprint(key)})], actor=actor, reason=reason)
    return state
