import gc

from django_q.signals import post_spawn


def test_a_process_of_the_worker_leaves_alone_what_it_inherits():
    gc.unfreeze()
    try:
        there = len(gc.get_objects())
        post_spawn.send(sender="django_q", proc_name="a process of the worker")
        looked_at = len(gc.get_objects())
    finally:
        gc.freeze()

    assert looked_at < there / 100
