"""Guessing passwords is slow: tries to log in are counted by the address they come from and the account they name.

Nothing is ever locked, so nobody can lock an administrator out. Buckets fill again by themselves, and a browser in
which somebody has logged in before carries a cookie that says so: for that account its tries are counted in a bucket of
its own, whatever others do elsewhere in the world.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import salted_hmac

from genfeed.clients.limits import buckets
from genfeed.clients.limits.addresses import address_of

PER_MINUTE = 10
COOKIE = "gf_known"
_SALT = "genfeed.clients.limits.logins"
_KNOWN_SECONDS = 90 * 86_400


class TooManyTriesError(Exception):
    """Too many tries; `wait` is in seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"Too many tries to log in. Wait {wait} s, then try again.")
        self.wait = wait


def count_try(request: HttpRequest, username: str) -> list[str]:
    """Counts a try before the password is looked at; returns the buckets that it was taken from.

    Raises TooManyTriesError where one of them is empty.
    """
    taken_from: list[str] = []
    for name in _buckets(request, username):
        taken = buckets.take(name, per_minute=PER_MINUTE)
        if not taken.count:
            raise TooManyTriesError(taken.wait // 1_000_000 + 1)
        taken_from.append(name)
    return taken_from


def note_success(taken_from: list[str], username: str, response: HttpResponseBase) -> None:
    """Gives the try back, and has the browser known from now on."""
    for name in taken_from:
        buckets.give_back(name, per_minute=PER_MINUTE)
    value = signing.dumps([_digest(username), secrets.token_hex(8)], salt=_SALT)
    response.set_cookie(
        COOKIE, value, max_age=_KNOWN_SECONDS, path="/admin/", httponly=True, samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip


def _buckets(request: HttpRequest, username: str) -> list[str]:
    known = _known_browser(request, username)
    if known:
        return [f"login:browser:{_number(known)}"]
    return [f"login:address:{_number(address_of(request))}", f"login:account:{_number(_folded(username))}"]


def _known_browser(request: HttpRequest, username: str) -> str:
    """What tells this browser from others, "" where nobody has logged in to the account with it."""
    try:
        digest, browser = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=_KNOWN_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(browser) if digest == _digest(username) else ""


def _folded(username: str) -> str:
    return username.strip().casefold()


def _digest(username: str) -> str:
    return salted_hmac(_SALT, _folded(username), algorithm="sha256").hexdigest()[:32]


def _number(text: str) -> str:
    """One of 65,536: strangers make up names and addresses, and each would else leave a row of its own."""
    return salted_hmac(_SALT, text, algorithm="sha256").hexdigest()[:4]
