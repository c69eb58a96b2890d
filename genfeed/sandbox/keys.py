"""Who calls: the keys the sandbox accepts. Header `Authorization: Key <id>:<secret>`, scopes API and ADMIN ⊇ API."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from starlette.requests import Request

from genfeed.sandbox.answers import PlatformError

DEFAULT_KEY = "sandbox-key:sandbox-secret"
DEFAULT_ADMIN_KEY = "sandbox-admin:sandbox-secret"
# Always accepted, and of an account of its own: with it an installation runs its clients' test jobs.
TEST_KEY = "sandbox-test:sandbox-secret"


class Scope(Enum):
    """What a caller may do."""

    ANONYMOUS = "anonymous"
    API = "api"
    ADMIN = "admin"


@dataclass(slots=True)
class Account:
    """Somebody else's account, with one key of its own: what it asks is seen by nobody else. `balance` in USD."""

    name: str
    scope: Scope = Scope.API
    balance: float = 1_000.0


@dataclass(frozen=True, slots=True)
class Keys:
    """The accepted keys by scope; `others` are keys of further accounts, which the control API adds."""

    api: frozenset[str]
    admin: frozenset[str]
    others: dict[str, Account] = field(default_factory=dict)
    test: Account = field(default_factory=lambda: Account("test", Scope.ADMIN, 1e12))

    def account(self, key: str) -> Account | None:
        """The account of a key that is not of the one that all other shipped keys belong to."""
        return self.test if key == TEST_KEY else self.others.get(key)

    def named(self, name: str) -> Account | None:
        """The account of this name."""
        return next((one for one in (self.test, *self.others.values()) if one.name == name), None)


def keys_from_environment(environment: Mapping[str, str] = os.environ) -> Keys:
    """Read SANDBOX_KEYS and SANDBOX_ADMIN_KEYS (comma-separated); each has one shipped default."""
    return Keys(
        api=_split(environment.get("SANDBOX_KEYS", DEFAULT_KEY)),
        admin=_split(environment.get("SANDBOX_ADMIN_KEYS", DEFAULT_ADMIN_KEY)),
    )


def _split(text: str) -> frozenset[str]:
    return frozenset(key.strip() for key in text.split(",") if key.strip())


def scope_of(request: Request, keys: Keys) -> Scope:
    """The caller's scope. A key that is not accepted is refused even where none is needed."""
    header = request.headers.get("authorization")
    if header is None:
        return Scope.ANONYMOUS
    scheme, _, key = header.partition(" ")
    if scheme.lower() != "key":
        raise PlatformError(401, "Authentication required: send the header `Authorization: Key <your key>`")
    if key.strip() in keys.admin:
        return Scope.ADMIN
    if key.strip() in keys.api:
        return Scope.API
    if (other := keys.account(key.strip())) is not None:
        return other.scope
    raise PlatformError(401, "Authentication required: the key is not valid")


def account_of(request: Request, keys: Keys) -> Account | None:
    """Whose request it is; None: of the account that all shipped keys belong to."""
    return keys.account(request.headers.get("authorization", "").partition(" ")[2].strip())


def require_key(request: Request, keys: Keys) -> Scope:
    """The caller's scope, where a key of scope API or higher is needed."""
    scope = scope_of(request, keys)
    if scope is Scope.ANONYMOUS:
        raise PlatformError(401, "Authentication required")
    return scope


def require_admin(request: Request, keys: Keys) -> None:
    """Let only keys of scope ADMIN pass."""
    if require_key(request, keys) is not Scope.ADMIN:
        raise PlatformError(403, "Access denied: this needs a key of scope ADMIN")
