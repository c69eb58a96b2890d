"""Making, finding and revoking API keys."""

import hashlib
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from genfeed.clients.models import SCOPES, ApiKey, Client
from genfeed.clients.restrictions import Restriction, check_list, restriction_of
from genfeed.clients.sides import side_for_tests
from genfeed.journal import alerts
from genfeed.journal.audit import Actor, Change, record

CACHE_SECONDS = 2.0
ROTATION_ALERT = "key_rotation_due"


class UnknownScopeError(ValueError):
    """A scope that does not exist; the message names those that do."""


@dataclass(frozen=True, slots=True)
class BrowserToken:
    """What narrows a caller that is a page of the client: `expires_at` seconds since 1970, `max_price` nano-USD a job.

    It sees and cancels only jobs that carry its `id`. `has_ceiling`: whether they may take only so much in all.
    """

    id: str
    key_id: int
    expires_at: int
    origin: str
    models: tuple[str, ...] = ()
    max_price: int | None = None
    has_ceiling: bool = False


@dataclass(frozen=True)
class Caller:
    """Whom an API key speaks for, and what bounds it: limits of the key, else of its client, else of the settings.

    Limits that begin with `client_` are for all keys of the client together. `key_id` 0: no key, but work of
    ours. `client_id` of a test key is its client's test side, and `test_of` the client itself.
    """

    key_id: int
    key_name: str
    client_id: int
    client_name: str
    scopes: frozenset[str]
    is_test: bool
    expires_at: datetime | None
    restriction: Restriction | None
    jobs_per_minute: int
    reads_per_minute: int
    client_jobs_per_minute: int
    client_reads_per_minute: int
    max_in_flight: int
    max_queued: int
    max_open_in_batches: int
    caps: dict[str, int] = field(default_factory=dict)
    may_disable_safety_checker: bool = False
    may_use_stored: bool = True
    token: BrowserToken | None = None
    test_of: int | None = None

    @property
    def live_id(self) -> int:
        """The client itself: whose prices, terms and keys they are. `client_id` is whose jobs and files they are."""
        return self.test_of or self.client_id

    def may(self, scope: str) -> bool:
        """Scope `admin` includes all others."""
        return scope in self.scopes or "admin" in self.scopes


@dataclass(frozen=True)
class Bounds:
    """What narrows a key beyond its client: lists of models (restrictions.py), and limits a minute (None: no own)."""

    allowed_models: Sequence[str] = ()
    denied_models: Sequence[str] = ()
    jobs_per_minute: int | None = None
    reads_per_minute: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Only what is set, for the audit."""
        return {name: value for name, value in asdict(self).items() if value not in (None, (), [])}


UNBOUNDED = Bounds()

# digest -> (monotonic time of the look-up, caller). Only successes: a revocation is seen within CACHE_SECONDS,
# and unknown keys can't fill the memory.
_cache: dict[str, tuple[float, Caller]] = {}


def digest_of(key: str) -> str:
    """SHA-256 in hex. Enough for 32 random bytes: there is nothing to guess, so nothing to slow down."""
    return hashlib.sha256(key.encode()).hexdigest()


def check_scopes(scopes: Iterable[str], *, is_test: bool = False) -> list[str]:
    """The scopes, sorted and without doubles; raises UnknownScopeError for one that does not exist, or that a test key
    can't have."""
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown:
        raise UnknownScopeError(f"Unknown scope: {', '.join(unknown)}. Scopes are: {', '.join(SCOPES)}.")
    if is_test and "admin" in wanted:
        raise UnknownScopeError("A test key can't have the scope admin: what that does is done to live data.")
    return wanted


@transaction.atomic
def create_key(
    client: Client,
    *,
    actor: Actor,
    scopes: Iterable[str] = ("models:read",),
    name: str = "default",
    is_test: bool = False,
    expires_at: datetime | None = None,
    bounds: Bounds = UNBOUNDED,
) -> tuple[ApiKey, str]:
    """Makes a key and returns it with its secret text, which is nowhere stored and can't be shown again.

    Raises UnknownScopeError, and BadListError for lists that make no sense.
    """
    if client.is_test:
        raise ValueError(f"{client} is the test side of {client.test_of}: make a test key of that.")
    text = f"gf_{'test_' if is_test else ''}{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        client=client,
        name=name,
        prefix=text[: 14 if is_test else 9],
        digest=digest_of(text),
        scopes=check_scopes(scopes, is_test=is_test),
        is_test=is_test,
        expires_at=expires_at,
        created_by=actor.name[:200],
        allowed_models=check_list(bounds.allowed_models),
        denied_models=check_list(bounds.denied_models),
        jobs_per_minute=bounds.jobs_per_minute,
        reads_per_minute=bounds.reads_per_minute,
    )
    after = {"client": client.name, "scopes": key.scopes} | bounds.as_json()
    record("api_key.created", [Change(key, after=after)], actor=actor)
    return key, text


def alert_subject(key: ApiKey) -> str:
    """What alerts about a key are about."""
    return f"key:{key.pk}"


def revoke_key(key: ApiKey, *, actor: Actor) -> bool:
    """Revokes a key for good; False where it already was. Other processes see it within CACHE_SECONDS."""
    with transaction.atomic():
        changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
        if changed:
            record("api_key.revoked", [Change(key)], actor=actor)
            alerts.resolve(ROTATION_ALERT, alert_subject(key))
    forget(key)
    return bool(changed)


def forget(key: ApiKey) -> None:
    """Makes this process look the key up anew; the others do within CACHE_SECONDS."""
    _cache.pop(key.digest, None)


def find_caller(text: str) -> Caller | None:
    """The caller that a key speaks for, or None where it is unknown, revoked, expired or its client inactive."""
    digest = digest_of(text)
    cached = _cache.get(digest)
    # Before the look-up: however long that takes, what it read is never older than the cache allows.
    now = time.monotonic()
    if cached and now - cached[0] < CACHE_SECONDS:
        caller = cached[1]
    else:
        found = _look_up(digest)
        if found is None:
            _cache.pop(digest, None)
            return None
        caller = found
        _cache[digest] = (now, caller)
    if caller.expires_at and caller.expires_at <= timezone.now():
        return None
    return caller


def known_caller(digest: str) -> Caller | None:
    """The caller that the key of a digest speaks for, as far as this process need not look it up now."""
    cached = _cache.get(digest)
    if cached is None or time.monotonic() - cached[0] >= CACHE_SECONDS:
        return None
    caller = cached[1]
    return None if caller.expires_at and caller.expires_at <= timezone.now() else caller


def was_known(text: str) -> bool:
    """Whether this process knows a key from before: it was good when last looked up, however long ago."""
    return digest_of(text) in _cache


def _look_up(digest: str) -> Caller | None:
    key = ApiKey.objects.filter(digest=digest, revoked_at=None, client__is_active=True).select_related("client").first()
    return None if key is None else caller_of(key)


def find_key(key_id: int) -> ApiKey | None:
    """The key that a token of ours names, None where it has ended or its client was switched off."""
    found = ApiKey.objects.filter(pk=key_id, revoked_at=None, client__is_active=True).select_related("client").first()
    has_ended = found is None or (found.expires_at is not None and found.expires_at <= timezone.now())
    return None if has_ended else found


def caller_of(key: ApiKey) -> Caller:
    """Whom a key speaks for, whether it may still be used or not."""
    client = key.client
    side = side_for_tests(client) if key.is_test else client
    client_jobs = _first(client.jobs_per_minute, settings.JOBS_PER_MINUTE)
    client_reads = _first(client.reads_per_minute, settings.READS_PER_MINUTE)
    return Caller(
        key_id=key.pk,
        key_name=key.name,
        client_id=side.pk,
        client_name=client.name,
        # Test keys of before that was refused may have it.
        scopes=frozenset(key.scopes) - ({"admin"} if key.is_test else set()),
        is_test=key.is_test,
        expires_at=key.expires_at,
        restriction=restriction_of(
            [client.allowed_models, key.allowed_models], [client.denied_models, key.denied_models]
        ),
        jobs_per_minute=_first(key.jobs_per_minute, client_jobs),
        reads_per_minute=_first(key.reads_per_minute, client_reads),
        client_jobs_per_minute=client_jobs,
        client_reads_per_minute=client_reads,
        max_in_flight=_first(client.max_in_flight, settings.MAX_IN_FLIGHT),
        max_queued=_first(client.max_queued, settings.MAX_QUEUED),
        max_open_in_batches=_first(client.max_open_in_batches, settings.MAX_OPEN_IN_BATCHES),
        caps=client.caps,
        may_disable_safety_checker=client.may_disable_safety_checker,
        may_use_stored=client.enable_caching,
        test_of=client.pk if key.is_test else None,
    )


def _first(*limits: int | None) -> int:
    """The first limit that is set; 0 is one."""
    return next(limit for limit in limits if limit is not None)
