"""Since when keys at providers are in use, and the reminder to make new ones: the operator's keys, and clients' own.

A provider does not tell how old a key is: of the operator's it is known since when they are here, of clients' when they
were set. What is kept of a key is a digest, by which another one is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog.models import KeyAge, Provider
from catalog.providers import base
from genfeed.clients.models import ProviderKey
from genfeed.clients.provider_keys import fingerprint_of
from genfeed.journal import alerts, links

ALERT = "provider_key_old"
# Names behind the provider's own, as in FAL_KEY; those that it does not have are left out.
_SETTINGS = (("API_KEY", "Key"), ("KEY", "Key"), ("API_TOKEN", "Key"), ("ADMIN_KEY", "Key that reads bills"))


@dataclass(frozen=True, slots=True)
class _Key:
    """A key as it is now; `since`: when it was set, None where only its first sight tells."""

    name: str
    fingerprint: str
    since: datetime | None
    words: str
    todo: str
    url: str


def operator_keys(slug: str) -> list[tuple[str, str, str]]:
    """The settings that hold the operator's keys at a provider: name, what it is for, and the key ("": not set)."""
    # The other spelling of a key is read into this one.
    names = [(f"{slug.upper()}_{suffix}", words) for suffix, words in _SETTINGS]
    return [(name, words, str(getattr(settings, name) or "")) for name, words in names if hasattr(settings, name)]


def since(name: str, key: str) -> datetime | None:
    """Since when this very key has been in the setting; None where nobody has looked yet."""
    return KeyAge.objects.filter(name=name, fingerprint=fingerprint_of(key)).values_list("since", flat=True).first()


def remind_of_provider_keys() -> int:
    """Tells staff of keys that are older than KEY_ROTATION_DAYS, once a key; returns of how many.

    Notes new keys, and closes the alerts of those that were changed or taken away.
    """
    keys = [*_of_the_operator(), *_of_clients()]
    gone = KeyAge.objects.exclude(name__in=[key.name for key in keys])
    for name in list(gone.values_list("name", flat=True)):
        alerts.resolve(ALERT, name)
    gone.delete()
    return sum(_look_at(key) for key in keys)


def _look_at(key: _Key) -> bool:
    now = timezone.now()
    with transaction.atomic():
        row = KeyAge.objects.select_for_update().filter(name=key.name).first()
        if row is None or row.fingerprint != key.fingerprint:
            alerts.resolve(ALERT, key.name)
            row = KeyAge(name=key.name, fingerprint=key.fingerprint, since=key.since or now)
            row.save()
        days = (now - row.since).days
        if row.reminded_at or not settings.KEY_ROTATION_DAYS or days < settings.KEY_ROTATION_DAYS:
            return False
        row.reminded_at = now
        row.save(update_fields=["reminded_at"])
        alerts.raise_alert(ALERT, key.name, f"{key.words} has been in use for {days} days", key.todo, url=key.url)
    return True


def _of_the_operator() -> Iterator[_Key]:
    pages = dict(Provider.objects.values_list("slug", "pk"))
    for provider in base.registered():
        page = pages.get(provider.slug)
        url = links.to_page("catalog_provider_change", page) if page else ""
        for name, _, key in operator_keys(provider.slug):
            # The sandbox's own are published, and open nothing else.
            if key and key not in settings.SANDBOX_ACCEPTS:
                todo = f"Make a new one at {provider.name}, set {name} to it, restart all processes, end the old one."
                yield _Key(name, fingerprint_of(key), None, f"The key of {provider.name} in {name}", todo, url)


def _of_clients() -> Iterator[_Key]:
    for row in ProviderKey.objects.filter(client__is_active=True).select_related("client"):
        name = f"{row.provider} of client {row.client_id}"
        todo = f"Have the client make a new one, PUT it to /api/v1/provider-keys/{row.provider}, and end the old one."
        url = links.to_page("clients_providerkey_change", row.pk)
        yield _Key(name, row.fingerprint, row.set_at, f"{row.client}: the {row.provider} key of its own", todo, url)
