"""Secrets that must be read again, such as those that sign webhooks: encrypted in the database, with rotatable keys."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

# Between the purpose and the text; no secret holds one.
_MARK = "\0"


class CannotUnsealError(Exception):
    """It was sealed with a key that is not among ENCRYPTION_KEYS any more, for another purpose, or not here at all."""


def seal(text: str, *, purpose: str = "") -> str:
    """The text encrypted with the first of ENCRYPTION_KEYS; what has a purpose is opened for that one alone."""
    marked = f"{purpose}{_MARK}{text}" if purpose else text
    return _box(settings.ENCRYPTION_KEYS).encrypt(marked.encode()).decode()


def unseal(sealed: str, *, purpose: str = "") -> str:
    """What was sealed for this purpose with any of ENCRYPTION_KEYS. Raises CannotUnsealError."""
    try:
        marked = _box(settings.ENCRYPTION_KEYS).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise CannotUnsealError("A stored secret can't be read: restore the key it was sealed with.") from None
    before, mark, text = marked.partition(_MARK)
    if (before if mark else "") != purpose:
        raise CannotUnsealError("A stored secret can't be read: it was sealed for something else.")
    return text if mark else marked


def resealed(sealed: str) -> str:
    """The same, sealed with the first of ENCRYPTION_KEYS; unchanged where it is already. Raises CannotUnsealError."""
    first = settings.ENCRYPTION_KEYS.split(",")[0]
    with suppress(InvalidToken):
        _box(first).decrypt(sealed.encode())
        return sealed
    try:
        return _box(settings.ENCRYPTION_KEYS).rotate(sealed.encode()).decode()
    except InvalidToken:
        raise CannotUnsealError("A stored secret can't be read: restore the key it was sealed with.") from None


@lru_cache(maxsize=4)
def _box(keys: str) -> MultiFernet:
    return MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])
