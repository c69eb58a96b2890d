"""Schedules in the admin: whoever plans work chooses when, and among tasks of ours; no session of staff runs more.

The package that runs them imports and calls whatever a schedule names, as `os.system` with a command.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

_TASK = re.compile(r"(?:genfeed|catalog|pricing|jobs)(?:\.[a-z_]+)*\.tasks\.[a-z][a-z_]*")
# What a schedule may give along for the package itself, a function to call afterwards among it.
_OPTIONS = "q_options"


def is_task(path: str) -> bool:
    """Whether a dotted path names a function that one of our modules called `tasks` defines, and does not import."""
    if not _TASK.fullmatch(path):
        return False
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return False
    return inspect.isfunction(found) and found.__module__ == module


class _OfOurTasks:
    """Mixed into the form of schedules."""

    cleaned_data: dict[str, Any]

    def clean_func(self) -> str:
        path = str(self.cleaned_data["func"])
        if not is_task(path):
            raise ValidationError("It is no task of GenFeed's. Tasks are functions such as catalog.tasks.sync_all.")
        return path

    def clean_hook(self) -> str | None:
        path: str | None = self.cleaned_data["hook"]
        if path and not is_task(path):
            raise ValidationError("It is no task of GenFeed's. Leave it empty.")
        return path

    def clean_kwargs(self) -> str | None:
        text: str | None = self.cleaned_data["kwargs"]
        if text and _OPTIONS in text:
            raise ValidationError(f"{_OPTIONS} can't be given here.")
        return text


class TasksOfOurs(admin.ModelAdmin):
    """Mixed into the admin class of schedules by GenFeedAdminSite."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        return type(form)("ScheduleForm", (_OfOurTasks, form), {})
