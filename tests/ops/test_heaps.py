"""Heaps of a process of ours: few, however many threads it has."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django_q.signals import post_execute_in_worker

# Twelve threads that hold a megabyte of small pieces each, at the same time. Heaps of glibc begin at multiples of
# 64 MB, as one or the other piece of memory does by chance; the first one of a process is called [heap].
_THREADS = """
import re, threading
import django
django.setup()
together = threading.Barrier(12)
def work():
    held = [bytearray(2_000) for _ in range(500)]
    together.wait(30)
    return held
threads = [threading.Thread(target=work) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
maps = re.findall(r"^([0-9a-f]+)-[0-9a-f]+ rw\\S+ \\S+ 00:00 0\\s*$", open("/proc/self/maps").read(), re.MULTILINE)
print(sum(int(start, 16) % 2**26 == 0 for start in maps))
"""

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has a heap for each thread"),
]


def heaps_of_threads(**settings: str) -> int:
    environment = {name: value for name, value in os.environ.items() if not re.match("MALLOC_", name)}
    done = subprocess.run(
        [sys.executable, "-c", _THREADS],
        env=environment | {"DJANGO_SETTINGS_MODULE": "genfeed.settings"} | settings,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return int(done.stdout)


def test_threads_of_a_process_share_two_heaps():
    assert heaps_of_threads() <= 3


def test_who_has_chosen_a_number_of_heaps_is_left_alone():
    assert heaps_of_threads(MALLOC_ARENA_MAX="10") > 3


def anonymous_megabytes() -> float:
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous:\s+(\d+) kB", rollup, re.MULTILINE)[1]) / 1000


def test_what_a_task_of_the_worker_took_is_given_back_when_it_ends():
    """Sixty megabytes in small pieces, below one that stays: the heap alone would keep them."""
    taken = [bytearray(2_000) for _ in range(30_000)]
    stays = bytearray(2_000)
    full = anonymous_megabytes()
    del taken

    kept = anonymous_megabytes()
    post_execute_in_worker.send(sender="django_q", func="", task={})

    assert kept > full - 20
    assert anonymous_megabytes() < full - 50
    assert stays
