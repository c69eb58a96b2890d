"""Asking whether an address answers at all: the lightest call there is, without any key."""

from __future__ import annotations

import httpx

from catalog.providers import calls

SECONDS = 5.0


def probe(name: str, url: str) -> bool:
    """Notes for `name` whether anything answers at `url`; whatever it says will do."""
    try:
        with (
            httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url),
        ):
            pass
    except httpx.ConnectError as error:
        calls.note(name, str(error) or "no connection")
        return False
    except httpx.HTTPError as error:
        calls.note(name, type(error).__name__)
        return False
    calls.note(name)
    return True
