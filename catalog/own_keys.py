"""Setting and checking clients' own keys at providers; in core mode alone, where the user pays the provider."""

from __future__ import annotations

from django.conf import settings

from catalog.providers import queue
from catalog.providers.base import KeyCheck
from genfeed.clients.errors import ApiError
from genfeed.clients.models import Client, ProviderKey
from genfeed.clients.provider_keys import BadKeyError, fingerprint_of, keep_key, kept_key, note_state, read_key
from genfeed.clients.sealing import CannotUnsealError, unseal
from genfeed.journal.audit import Actor

State = ProviderKey.State
# What a check says, and what is kept of it: a provider that can't be asked has said nothing of the key.
_STATES = {"valid": State.VALID, "invalid": State.INVALID, "exhausted": State.EXHAUSTED}


def require_core() -> None:
    """Raises ApiError where the operator's key runs everything."""
    if settings.GENFEED_MODE != "core":
        raise ApiError(
            "forbidden_scope",
            "Own provider keys belong to core mode; here the operator's key runs everything.",
            "Leave the provider's key out.",
        )


def set_own_key(client: Client, provider: str, text: str, *, actor: Actor) -> ProviderKey:
    """Checks a key with its provider and keeps it. Raises ApiError where it can't be one or the provider refuses it.

    One without credit is kept, and told; so is one whose provider could not be asked. No HTTP in a transaction.
    """
    checked = check_new(provider, text)
    return keep_key(client, provider, text, state=checked.state, detail=checked.detail, actor=actor)


def check_new(provider: str, text: str) -> KeyCheck:
    """What the provider says of a key, its `state` as `ProviderKey` has it. Raises ApiError, as `set_own_key`."""
    require_core()
    require_provider(provider)
    try:
        key = read_key(text)
    except BadKeyError as error:
        raise ApiError("invalid_request", f"key: {error}", "Copy the key from the provider's site.") from None
    require_provider_itself(provider, fingerprint_of(key))
    checked = queue.check_key(provider, key)
    if checked.state == "invalid":
        raise ApiError("invalid_request", f"key: {checked.detail}", "Nothing was changed. Correct the key.")
    return KeyCheck(_STATES.get(checked.state, State.UNCHECKED), checked.detail)


def check_again(row: ProviderKey) -> ProviderKey:
    """Asks the provider once more and writes down what it says; what was known stays where it does not answer."""
    require_core()
    require_provider_itself(row.provider, row.fingerprint)
    try:
        checked = queue.check_key(row.provider, unseal(row.sealed))
    except CannotUnsealError as error:
        checked = KeyCheck("invalid", f"{error} Or set the key again.")
    # A new key may have come while the provider was asked of the old one.
    state = _STATES.get(checked.state, "")
    note_state(row.client_id, row.provider, row.fingerprint, state=state, detail=checked.detail)
    return kept_key(row.client_id, row.provider) or row


def require_provider_itself(provider: str, fingerprint: str) -> None:
    """Raises ApiError where a sandbox stands in for the provider and the key is none of the sandbox's.

    A sandbox logs what it is sent, so a real key is never told to one.
    """
    if may_be_told(provider, fingerprint):
        return
    raise ApiError(
        "not_configured",
        f"The sandbox stands in for {provider} here, and keys of your own are not told to it.",
        "Start GenFeed with `manage.py up --no-sandbox`, or with a key of the installation's, to use your own.",
    )


def may_be_told(provider: str, fingerprint: str) -> bool:
    """Whether the key may be told to what answers for the provider: itself, or a sandbox whose key it is."""
    return provider not in settings.SANDBOX_STANDS_FOR or fingerprint in map(fingerprint_of, settings.SANDBOX_ACCEPTS)


def require_provider(provider: str) -> None:
    """Raises ApiError for a provider that runs nothing here."""
    if not queue.is_runnable(provider):
        known = ", ".join(sorted(queue.runnable())) or "none"
        raise ApiError("not_found", f"There is no provider {provider[:40]!r} that runs models.", f"Known: {known}.")
