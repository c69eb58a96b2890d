import gc

import pytest
from django.core.management import get_commands
from django_q.models import Schedule
from django_q.signals import post_spawn

from genfeed.management.commands import qcluster


def test_a_process_of_the_worker_leaves_alone_what_it_inherits():
    gc.unfreeze()
    try:
        there = len(gc.get_objects())
        post_spawn.send(sender="django_q", proc_name="a process of the worker")
        looked_at = len(gc.get_objects())
    finally:
        gc.freeze()

    assert looked_at < there / 100


@pytest.mark.django_db
def test_the_code_of_all_that_runs_by_the_clock_is_inherited():
    scheduled = {func.rpartition(".")[0] for func in Schedule.objects.values_list("func", flat=True)}

    assert get_commands()["qcluster"] == "genfeed"
    assert "catalog.tasks" in scheduled
    assert scheduled <= set(qcluster._NEEDED)
