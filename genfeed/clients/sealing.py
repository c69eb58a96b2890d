"""Secrets that must be read again, such as those that sign webhooks: encrypted in the database, with rotatable keys."""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class CannotUnsealError(Exception):
    """The secret was sealed with a key that is not among ENCRYPTION_KEYS any more."""


def seal(text: str) -> str:
    """The text encrypted with the first of ENCRYPTION_KEYS."""
    return _box(settings.ENCRYPTION_KEYS).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """What was sealed with any of ENCRYPTION_KEYS. Raises CannotUnsealError."""
    try:
        return _box(settings.ENCRYPTION_KEYS).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise CannotUnsealError("A stored secret can't be read: restore the key it was sealed with.") from None


@lru_cache(maxsize=4)
def _box(keys: str) -> MultiFernet:
    return MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])
