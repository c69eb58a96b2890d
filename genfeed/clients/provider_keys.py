"""Clients' own keys at providers: sealed as soon as they come in, unsealed where a provider is called, never shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from genfeed.clients.models import Client, ProviderKey
from genfeed.clients.sealing import seal
from genfeed.journal.audit import Actor, Change, record

_SHORTEST, _LONGEST = 8, 500
_HINT = 4


class BadKeyError(ValueError):
    """What came is no key; the message never repeats it."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key that is not the installation's. `source`: `client` where it is kept for the client, else `request`.

    `fingerprint` tells accounts apart without telling the key; `hint` is the end of the key.
    """

    source: str
    fingerprint: str
    hint: str
    sealed: str = field(repr=False)


def read_key(text: str) -> str:
    """The key without blanks around it. Raises BadKeyError for what no header could carry."""
    key = text.strip()
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise BadKeyError(f"A provider's key has {_SHORTEST} to {_LONGEST} characters.")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise BadKeyError("A provider's key has printable ASCII characters only, and no blanks.")
    return key


def fingerprint_of(key: str) -> str:
    """A digest that only this installation can make: the same for the same key."""
    return salted_hmac("genfeed.provider_key", key, algorithm="sha256").hexdigest()[:24]


def hint_of(key: str) -> str:
    """The end of a key, by which its owner knows it; nothing of a short one, of which it would be too much."""
    return key[-_HINT:] if len(key) >= _HINT * 4 else ""


def sent_key(text: str) -> OwnKey:
    """A key that came with a request. Raises BadKeyError."""
    key = read_key(text)
    return OwnKey("request", fingerprint_of(key), hint_of(key), seal(key))


def kept_key(client_id: int, provider: str) -> ProviderKey | None:
    """The key that is kept for the client, whatever is known of it."""
    return ProviderKey.objects.filter(client_id=client_id, provider=provider).first()


def keep_key(client: Client, provider: str, text: str, *, state: str, detail: str, actor: Actor) -> ProviderKey:
    """Keeps a key for the client in the place of the one before; audited without it. Raises BadKeyError."""
    key = read_key(text)
    now = timezone.now()
    values = {
        "sealed": seal(key),
        "fingerprint": fingerprint_of(key),
        "hint": hint_of(key),
        "state": state,
        "detail": detail[:300],
        "checked_at": None if state == ProviderKey.State.UNCHECKED else now,
        "set_at": now,
        "set_by": actor.name[:200],
    }
    with transaction.atomic():
        row, _ = ProviderKey.objects.update_or_create(client=client, provider=provider, defaults=values)
        after = {"provider": provider, "hint": row.hint, "state": state}
        record("provider_key.set", [Change(row, after=after)], actor=actor)
    return row


def drop_key(row: ProviderKey, *, actor: Actor) -> None:
    """Forgets a kept key; jobs that were accepted with it go on with it. Audited."""
    with transaction.atomic():
        record("provider_key.removed", [Change(row, before={"provider": row.provider, "hint": row.hint})], actor=actor)
        row.delete()


def note_state(client_id: int, provider: str, fingerprint: str, *, state: str, detail: str) -> None:
    """Writes down what the provider said of a kept key, if it is still that key; `state` "" where it said nothing."""
    kept = ProviderKey.objects.filter(client_id=client_id, provider=provider, fingerprint=fingerprint)
    said = {"state": state, "checked_at": timezone.now()} if state else {}
    kept.update(detail=detail[:300], **said)
