"""Schedules in the admin: whoever plans work chooses when, and among tasks of ours; no session of staff runs more.

The package that runs them imports and calls whatever a schedule names, as `os.system` with a command.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

_TASK = re.compile(r"(?:genfeed|catalog|pricing|jobs)(?:\.[a-z_]+)*\.tasks\.[a-z][a-z_]*")
# What `ast` raises for text that is no literal, the last two where it is nested too deeply.
_UNREADABLE = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)


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


def positional(text: str) -> tuple[Any, ...]:
    """What a schedule's text of arguments says, as `1, "a"`; raises ValueError where it says none.

    The package reads it when the schedule is due; text that it can't read would stop all other schedules too.
    """
    try:
        read = ast.literal_eval(text)
    except _UNREADABLE as error:
        raise ValueError("It is no list of values. Write them as in Python, such as: 50, 'fal'.") from error
    return read if isinstance(read, tuple) else (read,)


def keywords(text: str) -> dict[str, Any]:
    """What a schedule's text of keyword arguments says, as `limit=50` or `{"limit": 50}`; ValueError where none."""
    try:
        try:
            read = ast.literal_eval(text)
        except _UNREADABLE:
            call = ast.parse(f"f({text})", mode="eval").body
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
                raise
            read = {one.arg: ast.literal_eval(one.value) for one in call.keywords}
    except _UNREADABLE:
        read = None
    if not isinstance(read, dict) or not all(isinstance(name, str) for name in read):
        raise ValueError("It names no values. Write them as in Python, such as: limit=50, deep=True.")
    return read


def unfit(path: str, args: tuple[Any, ...], given: dict[str, Any]) -> str:
    """Why a task of ours can't be called with these arguments; empty where it can.

    The package takes some keywords for itself, a function to call afterwards among them. No task of ours has a
    parameter of such a name, so what fits a task is none of them.
    """
    module, _, name = path.rpartition(".")
    signature = inspect.signature(getattr(import_module(module), name))
    try:
        signature.bind(*args, **given)
    except TypeError as error:
        takes = ", ".join(str(one.replace(annotation=one.empty)) for one in signature.parameters.values())
        return f"It does not fit {path}, which takes {takes or 'nothing'}: {error}."
    return ""


class _OfOurTasks:
    """Mixed into the form of schedules."""

    cleaned_data: dict[str, Any]
    changed_data: list[str]

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

    def clean_args(self) -> str | None:
        return self._as_read("args", positional)

    def clean_kwargs(self) -> str | None:
        return self._as_read("kwargs", keywords)

    def _as_read(self, name: str, read: Callable[[str], Any]) -> str | None:
        """The text as it was understood, so that what was checked is what runs."""
        text: str | None = self.cleaned_data[name]
        if not text or name not in self.changed_data:
            return text
        try:
            return repr(read(text))
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any] | None:
        cleaned: dict[str, Any] | None = super().clean()  # type: ignore[misc]
        told, what = self.cleaned_data, {"func", "args", "kwargs", "intended_date_kwarg"}
        # What our own schedules tell the package stays as it is where only their time changes.
        if not what & {*self.changed_data} or not what <= {*told}:
            return cleaned
        try:
            args = positional(told["args"]) if told["args"] else ()
            given = keywords(told["kwargs"]) if told["kwargs"] else {}
        except ValueError as error:
            # It was there before.
            raise ValidationError(str(error)) from error
        if told["intended_date_kwarg"]:
            given[told["intended_date_kwarg"]] = ""
        if why := unfit(told["func"], args, given):
            raise ValidationError(why)
        return cleaned


class TasksOfOurs(admin.ModelAdmin):
    """Mixed into the admin class of schedules by GenFeedAdminSite."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        return type(form)("ScheduleForm", (_OfOurTasks, form), {})
