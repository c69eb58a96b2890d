"""Logging in to the admin: Django's own form and page, with a limit on tries and a trace of those that failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseBase

from genfeed.clients.limits.addresses import address_of
from genfeed.clients.limits.logins import TooManyTriesError, count_try, note_success
from genfeed.journal.alerts import raise_alert

logger = logging.getLogger(__name__)

ALERT = "logins_slowed"


@dataclass
class _Try:
    username: str = ""
    taken_from: list[str] = field(default_factory=list)
    wait: int = 0


class LimitedLoginForm(AdminAuthenticationForm):
    """Counts a try before the password is looked at: a refused one says nothing about it."""

    def clean(self) -> dict[str, Any]:
        one: _Try = self.request.login_try  # type: ignore[union-attr]
        one.username = self.cleaned_data.get("username") or ""
        if one.username and self.cleaned_data.get("password"):
            try:
                one.taken_from = count_try(self.request, one.username)  # type: ignore[arg-type]
            except TooManyTriesError as error:
                one.wait = error.wait
                raise ValidationError(str(error), code="too_many_tries") from None
        return super().clean()


def log_in(request: HttpRequest, view: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """The answer of Django's page to somebody who logs in; 429 with `Retry-After` after too many tries."""
    one = request.login_try = _Try()  # type: ignore[attr-defined]
    answer = view()
    if request.method != "POST":
        return answer
    if answer.status_code == 302:
        note_success(one.taken_from, one.username, answer)
        return answer
    logger.warning("a login failed", extra={"address": address_of(request), "too_many": bool(one.wait)})
    if one.wait:
        answer.status_code = 429
        answer.headers["Retry-After"] = str(one.wait)
        _tell(one.username)
    return answer


def _tell(username: str) -> None:
    # What strangers type is shown nowhere: it may be somebody's password in the wrong field.
    is_one = get_user_model().objects.filter(username=username, is_staff=True, is_active=True).exists()
    raise_alert(
        ALERT,
        username if is_one else "",
        f"Somebody tries to log in as {username}" if is_one else "Somebody tries names and passwords",
        "More tries came than are looked at. Those who have logged in with their browser before are not slowed down. "
        "The log has the addresses (“a login failed”); keep strangers away from /admin/ where your network can.",
    )
