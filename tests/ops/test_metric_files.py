"""Files that metrics are counted in: a full disk ends no process, and processes that ended leave few."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from genfeed import metric_files
from genfeed.metric_files import ReservedFile, being_read, join_left
from tests.sandbox_server import ROOT

# Counts, fills the disk of the folder, and counts what there is no room for.
_ON_A_FULL_DISK = """
import os, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from genfeed import metric_files
metric_files.install()
from prometheus_client import Counter, Histogram
counter = Counter("c", "c", ["l"])
counter.labels("before").inc()
with open(os.path.join(sys.argv[1], "full"), "wb", buffering=0) as file:
    try:
        while file.write(b"x" * 4096):
            pass
    except OSError:
        pass
for number in range(1000):
    counter.labels("x" * 50 + str(number)).inc()
Histogram("h", "h").observe(1)
"""


def test_a_full_disk_ends_no_process(tmp_path: Path) -> None:
    mounting = ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "-o", "size=300k", "none", tmp_path]
    if not shutil.which("unshare") or subprocess.run(mounting, capture_output=True, timeout=30, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    script = 'mount -t tmpfs -o size=300k none "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", tmp_path, sys.executable, _ON_A_FULL_DISK],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def key(label: str) -> str:
    return mmap_key("c", "c_total", ["l"], [label], "c")


def test_figures_go_on_in_memory_where_a_file_can_grow_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ReservedFile(str(tmp_path / "counter_1.db"))
    file.write_value(key("kept"), 7.0, 0.0)
    real = metric_files.os.posix_fallocate

    def refuse(number: int, start: int, length: int) -> None:
        if length > 65536:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(number, start, length)

    monkeypatch.setattr(metric_files.os, "posix_fallocate", refuse)
    for number in range(1000):
        file.write_value(key("x" * 50 + str(number)), float(number), 0.0)

    assert file.is_in_memory
    assert (file.read_value(key("kept"))[0], file.read_value(key("x" * 50 + "999"))[0]) == (7.0, 999.0)
    # What was there before is told still.
    assert told(tmp_path)[key("kept")] == 7.0
    file.close()


def told(folder: Path) -> dict[str, float]:
    """The sums of all files of counters."""
    found: dict[str, float] = {}
    for path in folder.glob("counter_*.db"):
        for name, value, *_ in MmapedDict.read_all_values_from_file(path):
            found[name] = found.get(name, 0.0) + value
    return found


def left_by_processes(folder: Path, *, count: int) -> None:
    for number in range(1, count + 1):
        file = ReservedFile(str(folder / f"counter_{number}.db"))
        file.write_value(key("all"), 1.0, 0.0)
        file.write_value(key(str(number % 3)), float(number), 0.0)
        file.close()


def test_what_ended_processes_left_is_joined_before_it_is_much_and_nothing_is_lost(tmp_path: Path) -> None:
    left_by_processes(tmp_path, count=40)
    before = told(tmp_path)

    with being_read(tmp_path):
        assert (told(tmp_path), len(list(tmp_path.iterdir()))) == (before, 1)
    left_by_processes(tmp_path, count=17)
    again = told(tmp_path)
    with being_read(tmp_path):
        assert (told(tmp_path), len(list(tmp_path.iterdir()))) == (again, 1)
    assert again[key("all")] == 57.0


def test_the_file_of_a_process_that_lives_is_left_to_it(tmp_path: Path) -> None:
    own = ReservedFile(str(tmp_path / "counter_99.db"))
    left_by_processes(tmp_path, count=3)

    join_left(tmp_path, keep=0)
    own.write_value(key("all"), 5.0, 0.0)

    assert {path.name for path in tmp_path.iterdir()} == {"counter_0.db", "counter_99.db"}
    assert told(tmp_path)[key("all")] == 8.0
    own.close()


def test_nothing_is_joined_while_others_read(tmp_path: Path) -> None:
    left_by_processes(tmp_path, count=3)

    with being_read(tmp_path):
        join_left(tmp_path, keep=0)
        assert len(list(tmp_path.iterdir())) == 3


def test_nothing_is_lost_where_there_is_no_room_to_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_by_processes(tmp_path, count=3)
    before = told(tmp_path)

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(metric_files.os, "posix_fallocate", refuse)
    join_left(tmp_path, keep=0)

    assert told(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff\x00" + b"x" * 100, b"\x40\x00\x00\x00\x00\x00\x00\x00\x99"])
def test_what_a_crash_of_the_machine_left_unreadable_is_dropped(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counter_7.db").write_bytes(content)
    left_by_processes(tmp_path, count=2)

    join_left(tmp_path, keep=0)

    assert told(tmp_path)[key("all")] == 2.0
