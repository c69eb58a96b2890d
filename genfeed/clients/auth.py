"""Who calls the API: an API key, or a member of staff with the admin's session."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from genfeed.clients import uses
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller, find_caller, was_known
from genfeed.clients.limits.reads import limit_request
from genfeed.clients.limits.strangers import check_stranger, count_stranger
from genfeed.journal.audit import Actor


@dataclass(frozen=True)
class Identity:
    """The caller of a request: a key's client or a member of staff (exactly one of both is set)."""

    key: Caller | None = None
    user: AbstractBaseUser | None = None

    @property
    def is_admin(self) -> bool:
        """May see what clients do not: held models, reasons, costs. Staff need a role for that."""
        if self.key:
            return self.key.may("admin")
        return self.user is not None and self.user.has_perm("catalog.view_aimodel")  # type: ignore[attr-defined]

    @property
    def actor(self) -> Actor:
        """For the audit."""
        if self.key:
            return Actor(name=f"API key {self.key.key_name} of {self.key.client_name}")
        assert self.user is not None  # noqa: S101 - one of both is set
        return Actor.of(self.user)

    def require_client(self) -> Caller:
        """The key of a client; refuses staff, whose session belongs to none."""
        if self.key:
            return self.key
        raise ApiError(
            "forbidden_scope",
            "Your session belongs to no client.",
            "Send an API key of the client; staff find the same in the admin.",
        )

    def require(self, permission: str) -> None:
        """Refuses staff without a Django permission; keys with scope `admin` have them all."""
        if self.key or self.user.has_perm(permission):  # type: ignore[union-attr]
            return
        raise ApiError(
            "forbidden_scope",
            f"Your account lacks the permission {permission}.",
            "Ask an administrator for a role that has it.",
        )


class RequireScope(AuthBase):
    """Ninja authentication by `Authorization: Bearer gf_…` or `X-API-Key`, or by the session of staff."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, scope: str, *, instead: Callable[[HttpRequest], Identity | None] | None = None) -> None:
        """`scope` "" asks for no more than a key.

        `instead` is asked first: who calls by another proof that the request carries, None where it has none.
        """
        self.scope = scope
        self._instead = instead
        super().__init__()

    def __call__(self, request: HttpRequest) -> Any:
        identity = self._instead(request) if self._instead else None
        if identity is None:
            text = presented_key(request)
            identity = self._by_key(request, text) if text else self._by_session(request)
        request.identity = identity  # type: ignore[attr-defined]
        return identity

    def _by_key(self, request: HttpRequest, text: str) -> Identity:
        if not was_known(text):
            check_stranger(request)
        caller = find_caller(text)
        if caller is None:
            count_stranger(request)
            raise ApiError(
                "unauthorized", "The API key is unknown, expired or revoked.", "Check the key, or ask for a new one."
            )
        limit_request(caller)
        uses.count(caller.key_id)
        if self.scope and not caller.may(self.scope):
            raise ApiError(
                "forbidden_scope",
                f"This key lacks the scope {self.scope}.",
                f"Use a key with the scope {self.scope}; this one has: {', '.join(sorted(caller.scopes)) or 'none'}.",
            )
        return Identity(key=caller)

    def _by_session(self, request: HttpRequest) -> Identity:
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated or not user.is_staff:
            raise ApiError(
                "unauthorized",
                "This request carries no API key.",
                "Send 'Authorization: Bearer gf_…'. Keys are made in the admin or by `manage.py create_client NAME`.",
            )
        # A browser sends the session by itself, also for another site's form.
        if check_csrf(request) is not None:
            raise ApiError("forbidden_scope", "The CSRF token is missing or wrong.", "Send the header X-CSRFToken.")
        return Identity(user=user)


def presented_key(request: HttpRequest) -> str:
    """The key of the request, "" where there is none."""
    header = request.headers.get("Authorization", "")
    scheme, _, token = header.partition(" ")
    # fal's clients write Key.
    if scheme.lower() in ("bearer", "key") and token.strip():
        return token.strip()
    return request.headers.get("X-API-Key", "").strip()
