"""Staff plan tasks of ours; whoever got hold of a superuser's session runs no other code by them."""

from collections.abc import Callable

import pytest
from django.test import Client as HttpClient
from django_q.models import Schedule

from genfeed.admin_schedules import is_task

pytestmark = [pytest.mark.django_db, pytest.mark.once]

AT = {"schedule_type": "O", "repeats": "1", "next_run_0": "2030-01-01", "next_run_1": "00:00:00"}
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


def test_what_is_planned_is_a_task_of_ours() -> None:
    assert [one.func for one in Schedule.objects.all() if not is_task(one.func)] == []
