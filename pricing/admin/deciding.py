"""Decisions about many rows of a list at once: those that can't be made are told, and hold up no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import Model
from django.http import HttpRequest


def decide_each[Row: Model](
    page: ModelAdmin[Any],
    request: HttpRequest,
    rows: Iterable[Row],
    decide: Callable[[Row], object],
    *,
    refusal: type[ValueError],
    done: str,
    name: Callable[[Row], object] = str,
) -> None:
    """Decides about each row; one that raises `refusal` is named with the reason, the others counted: `3 accepted.`"""
    count = 0
    for row in rows:
        try:
            decide(row)
            count += 1
        except refusal as error:
            page.message_user(request, f"{name(row)}: {error}", messages.WARNING)
    if count:
        page.message_user(request, f"{count} {done}.", messages.SUCCESS)
