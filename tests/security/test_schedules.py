"""Staff plan tasks of ours; whoever got hold of a superuser's session runs no other code by them."""

import inspect
import re
from collections.abc import Callable
from importlib import import_module

import pytest
from django.conf import settings
from django.test import Client as HttpClient
from django_q.models import Schedule
from django_q.tasks import async_task

from genfeed.admin_schedules import is_task

pytestmark = [pytest.mark.django_db, pytest.mark.once]

MIDNIGHT = {"next_run_1": "00:00:00"}
AT = {"schedule_type": "O", "repeats": "1", "next_run_0": "2030-01-01"} | MIDNIGHT
OURS = "catalog.tasks.sync_all"


@pytest.mark.parametrize(
    "more",
    [
        {"func": "os.system", "args": "('id',)"},
        {"func": "jobs.tasks.clean_up"},
        {"func": "catalog.tasks.os.system"},
        {"func": "jobs.tasks.__builtins__"},
        {"func": OURS, "hook": "os.system"},
        {"func": OURS, "kwargs": "q_options={'hook': 'os.system'}"},
        {"func": OURS, "kwargs": '{"q_\\x6fptions": {"hook": "os.system"}}'},
        {"func": OURS, "kwargs": "q_\N{FULLWIDTH LATIN SMALL LETTER O}ptions={'hook': 'os.system'}"},
        {"func": OURS, "kwargs": "**{'q_options': {'hook': 'os.system'}}"},
        {"func": OURS, "kwargs": "hook='os.system'"},
        {"func": OURS, "kwargs": "chain=[('os.system', ('id',))]"},
        {"func": OURS, "kwargs": "task_name='x'"},
        {"func": OURS, "intended_date_kwarg": "hook"},
        # What the package can't read stops every other schedule, or is dropped without a word.
        {"func": OURS, "args": "os.getcwd()"},
        {"func": OURS, "args": "1, 2"},
        {"func": OURS, "kwargs": "[1]"},
        {"func": OURS, "kwargs": "limit=1) + g(limit=2"},
        {"func": OURS, "kwargs": "{1: 2}"},
        {"func": OURS, "kwargs": "(" * 300},
    ],
    ids=lambda more: str(list(more.values())[-1]),
)
def test_a_schedule_calls_nothing_but_tasks_of_ours(staff: Callable[[str], HttpClient], more: dict[str, str]) -> None:
    root, before = staff("superuser"), list(Schedule.objects.values())
    first = Schedule.objects.get(func=OURS)

    added = root.post("/admin/django_q/schedule/add/", AT | more)
    changed = root.post(f"/admin/django_q/schedule/{first.pk}/change/", AT | more)

    assert (added.status_code, changed.status_code) == (200, 200)
    assert list(Schedule.objects.values()) == before


@pytest.mark.parametrize("written", ["trigger='mine', deep=True", '{"trigger": "mine", "deep": True}'])
def test_a_task_is_planned_with_what_it_takes(staff: Callable[[str], HttpClient], written: str) -> None:
    what = {"func": "pricing.tasks.reconcile", "args": "'fal'", "kwargs": written}

    answer = staff("superuser").post("/admin/django_q/schedule/add/", AT | what)

    assert answer.status_code == 302
    planned = Schedule.objects.latest("pk")
    assert (planned.args, planned.kwargs) == ("('fal',)", "{'trigger': 'mine', 'deep': True}")


def test_a_refused_schedule_says_what_the_task_takes(staff: Callable[[str], HttpClient]) -> None:
    answer = staff("superuser").post(
        "/admin/django_q/schedule/add/", AT | {"func": "pricing.tasks.ask_for_past_costs", "kwargs": "hook='os.system'"}
    )

    assert "which takes limit: " in answer.content.decode()


def test_no_task_has_a_parameter_that_the_package_takes_for_itself() -> None:
    """Its options by the code of the pinned version (django_q.tasks.async_task)."""
    source = inspect.getsource(async_task)
    options = set(re.findall(r'"([a-z_]+)",?$', source.partition("opt_keys = (")[2].partition(")")[0], re.MULTILINE))
    assert {"hook", "chain", "broker", "timeout"} <= options
    modules = [
        ".".join(path.relative_to(settings.BASE_DIR).with_suffix("").parts)
        for package in ("genfeed", "catalog", "pricing", "jobs")
        for path in (settings.BASE_DIR / package).rglob("tasks.py")
    ]
    ours = [
        member
        for module in modules
        for name, member in inspect.getmembers(import_module(module), inspect.isfunction)
        if is_task(f"{module}.{name}")
    ]
    assert len(ours) > 10
    taken = options | {"q_options", "task_name"}
    assert [one.__qualname__ for one in ours if taken & set(inspect.signature(one).parameters)] == []


def test_what_can_not_be_read_since_before_is_refused_in_words(staff: Callable[[str], HttpClient]) -> None:
    old = Schedule.objects.create(func=OURS, args="os.getcwd()", schedule_type="O")

    answer = staff("superuser").post(
        f"/admin/django_q/schedule/{old.pk}/change/", AT | {"func": "pricing.tasks.reconcile", "args": old.args}
    )

    assert "It is no list of values" in answer.content.decode()


def test_each_of_our_schedules_may_be_moved_and_nothing_else_of_it_changes(staff: Callable[[str], HttpClient]) -> None:
    root, planned = staff("superuser"), list(Schedule.objects.all())
    assert len(planned) > 10
    for one in planned:
        assert is_task(one.func)
        kept = ("name", "func", "hook", "args", "kwargs", "schedule_type", "minutes", "repeats", "cron", "cluster")
        form = {name: getattr(one, name) for name in (*kept, "intended_date_kwarg") if getattr(one, name) is not None}

        answer = root.post(f"/admin/django_q/schedule/{one.pk}/change/", form | {"next_run_0": "2031-02-03"} | MIDNIGHT)

        assert answer.status_code == 302, one.func
        moved = Schedule.objects.get(pk=one.pk)
        assert [getattr(moved, name) or None for name in kept] == [getattr(one, name) or None for name in kept]
        assert moved.next_run.year == 2031
