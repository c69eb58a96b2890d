"""What clients do with their own keys: never may a key make one that can do more than itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Bounds, Caller, UnknownScopeError, check_scopes, create_key, revoke_key
from genfeed.clients.models import ApiKey, Client
from genfeed.clients.restrictions import BadListError, Patterns, check_list
from genfeed.clients.rotation import CannotRotateError, rotate_key
from genfeed.journal.audit import Actor

_LONGEST_LIFE = timedelta(days=36_525)


def find_own_key(caller: Caller, address: str) -> ApiKey:
    """The key of the caller's client with this id or prefix. Raises ApiError; another client's is not there."""
    own = ApiKey.objects.filter(client_id=caller.live_id).select_related("replaced_by")
    digest = address.removeprefix("key_")
    if digest != address:
        found = list(own.filter(digest__startswith=digest)[:2]) if len(digest) == 16 and digest.isalnum() else []
    else:
        found = list(own.filter(prefix=address)[:2]) if len(address) <= 20 and address.isprintable() else []
    if len(found) == 1:
        return found[0]
    # The address is not repeated: somebody may have put the key itself into it.
    if found:
        raise ApiError("conflict", "More than one key begins like this.", "Name it by its id: key_….")
    raise ApiError("not_found", "You have no such key.", "List yours at /api/v1/keys.")


def make_own_key(
    caller: Caller,
    *,
    actor: Actor,
    name: str,
    scopes: Iterable[str],
    is_test: bool | None,
    expires_at: datetime | None,
    bounds: Bounds,
) -> tuple[ApiKey, str]:
    """A new key of the caller's client, bounded by what the caller's key may do itself. Raises ApiError."""
    try:
        wanted = check_scopes(scopes)
        allowed, denied = check_list(bounds.allowed_models), check_list(bounds.denied_models)
    except (UnknownScopeError, BadListError) as error:
        raise ApiError("invalid_request", str(error), "Correct it; nothing was made.") from None
    if expires_at is not None:
        _check_end(expires_at)
    if "admin" in wanted:
        raise ApiError("forbidden_scope", "The scope admin is given by staff alone.", "Leave it out.")
    with transaction.atomic():
        maker = _lock_client_of(caller)
        bounds = Bounds(
            allowed or maker.allowed_models,
            sorted({*denied, *maker.denied_models}),
            maker.jobs_per_minute if bounds.jobs_per_minute is None else bounds.jobs_per_minute,
            maker.reads_per_minute if bounds.reads_per_minute is None else bounds.reads_per_minute,
        )
        is_test = maker.is_test if is_test is None else is_test
        expires_at = expires_at or maker.expires_at
        _refuse_more(caller, maker, wanted, is_test=is_test, expires_at=expires_at, bounds=bounds)
        _refuse_too_many(caller)
        try:
            return create_key(
                maker.client,
                actor=actor,
                scopes=wanted,
                name=name.strip(),
                is_test=is_test,
                expires_at=expires_at,
                bounds=bounds,
            )
        except BadListError as error:
            raise ApiError("invalid_request", f"denied_models: {error}", "Deny fewer models.") from None


def rotate_own_key(caller: Caller, key: ApiKey, *, overlap: timedelta, actor: Actor) -> tuple[ApiKey, str]:
    """A successor of one of the client's keys, which the caller's key could have made. Raises ApiError."""
    with transaction.atomic():
        maker = _lock_client_of(caller)
        if key.pk != maker.pk:
            bounds = Bounds(key.allowed_models, key.denied_models, key.jobs_per_minute, key.reads_per_minute)
            _refuse_more(caller, maker, key.scopes, is_test=key.is_test, expires_at=key.expires_at, bounds=bounds)
        if overlap:
            _refuse_too_many(caller, "Revoke one that is not needed, or rotate with overlap_seconds 0.")
        try:
            return rotate_key(key, overlap=overlap, actor=actor)
        except CannotRotateError as error:
            raise ApiError("conflict", str(error), "Look at the key's state and replaced_by.") from None


def revoke_own_key(caller: Caller, key: ApiKey, *, actor: Actor) -> ApiKey:
    """Revokes a key of the client; one that already was stays as it is. A test key ends no live one: ApiError."""
    if caller.is_test and not key.is_test:
        raise _more("is_test", "a test key ends test keys only", "Use a live key.")
    revoke_key(key, actor=actor)
    key.refresh_from_db()
    return key


def _lock_client_of(caller: Caller) -> ApiKey:
    """The caller's key as it is now. Its client is locked, so that two requests at once can't pass the limit of keys.

    The caller is remembered for two seconds: a key that was revoked meanwhile must leave no other behind.
    """
    client = Client.objects.select_for_update().get(pk=caller.live_id)
    maker = ApiKey.objects.get(pk=caller.key_id)
    if maker.state != "active" or not client.is_active:
        raise ApiError("unauthorized", "The API key is unknown, expired or revoked.", "Check the key.")
    maker.client = client
    return maker


def _check_end(expires_at: datetime) -> None:
    now = timezone.now()
    if expires_at <= now:
        raise ApiError("invalid_request", "expires_at: lies in the past.", "Send a moment to come, or leave it out.")
    if expires_at > now + _LONGEST_LIFE:
        raise ApiError("invalid_request", "expires_at: is more than 100 years away.", "Leave it out: no end.")


def _refuse_more(
    caller: Caller,
    maker: ApiKey,
    scopes: Iterable[str],
    *,
    is_test: bool,
    expires_at: datetime | None,
    bounds: Bounds,
) -> None:
    """Refuses a key that may do more than the one that asks for it, naming the first thing."""
    missing = [scope for scope in scopes if not caller.may(scope)]
    if missing:
        raise _more("scopes", f"this key lacks {', '.join(missing)} itself", "Leave them out.")
    if maker.is_test and not is_test:
        raise _more("is_test", "a test key makes test keys only", "Use a live key.")
    if maker.expires_at and (expires_at is None or expires_at > maker.expires_at):
        raise _more("expires_at", "is later than this key's own end", "Send an earlier one, or use another key.")
    wider = _wider(Patterns(tuple(maker.allowed_models)), bounds.allowed_models) if maker.allowed_models else None
    if wider:
        raise _more("allowed_models", f"{wider} is beyond this key's own list", "Name fewer models.")
    denied = Patterns(tuple(bounds.denied_models))
    open_again = _wider(denied, maker.denied_models) if maker.denied_models else None
    if open_again:
        raise _more("denied_models", f"{open_again} is denied to this key itself", "Deny it too.")
    for name, most in (("jobs_per_minute", caller.jobs_per_minute), ("reads_per_minute", caller.reads_per_minute)):
        own, wanted = getattr(maker, name), getattr(bounds, name)
        if (wanted is None and own is not None) or (wanted is not None and wanted > most):
            raise _more(name, f"this key has {most} itself", f"Send at most {most}.")


def _wider(narrow: Patterns, entries: Iterable[str]) -> str | None:
    """The first entry that the patterns do not cover; no entry at all means everything."""
    texts = list(entries)
    return next((text for text in texts if not narrow.cover(text)), None) if texts else "all models"


def _more(field: str, words: str, hint: str) -> ApiError:
    details = {"problems": [{"path": field, "message": words}]}
    return ApiError("forbidden_scope", f"{field}: {words}.", hint, details=details)


def _refuse_too_many(caller: Caller, hint: str = "Revoke one that is not needed.") -> None:
    lives = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    active = ApiKey.objects.filter(lives, client_id=caller.live_id, revoked_at=None).count()
    if active >= settings.MAX_KEYS:
        raise ApiError("conflict", f"You have {active} active keys, and {settings.MAX_KEYS} is the most.", hint)
