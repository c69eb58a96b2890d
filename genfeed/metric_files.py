"""The files that metrics are counted in, of each process its own: a full disk ends no process, and they stay few."""

from __future__ import annotations

import fcntl
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

_KINDS = ("counter", "histogram")
_SIZE = 1 << 16
# A scrape reads all files: so many of a kind may be left by processes that have ended.
_FEW = 16


def install() -> None:
    """Has the library count in files of this kind; to be called before anything is counted."""
    if hasattr(os, "posix_fallocate") and hasattr(os, "memfd_create"):
        values.MmapedDict = ReservedFile  # type: ignore[misc]


class ReservedFile(MmapedDict):
    """The library's own, but without a hole in it, and locked for as long as its process lives.

    The library writes into memory that stands for the file. Where the file has a hole and its disk no room, the system
    ends the process for that (SIGBUS). Figures without room are kept in memory here, and told to nobody.
    """

    is_in_memory = False

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._owned: BinaryIO | None = None
        try:
            self._owned = _own(filename)
            os.posix_fallocate(self._owned.fileno(), 0, os.fstat(self._owned.fileno()).st_size)
        except OSError:
            self._keep_in_memory(b"")
        else:
            super().__init__(filename, read_mode)

    def _init_value(self, key: str) -> None:
        # With its length, padding and two numbers.
        needed = len(key.encode()) + 28
        if self._used + needed > self._capacity:
            try:
                os.posix_fallocate(self._f.fileno(), 0, 2 * (self._capacity + needed))
            except OSError:
                content = bytes(self._m)
                self.close()
                self._keep_in_memory(content)
        super()._init_value(key)

    def _keep_in_memory(self, content: bytes) -> None:
        self.is_in_memory = True
        number = os.memfd_create("metrics")
        try:
            os.write(number, content)
            super().__init__(f"/proc/self/fd/{number}")
        finally:
            os.close(number)

    def close(self) -> None:
        """Lets go of the file, and of its lock."""
        super().close()
        if self._owned:
            self._owned.close()


@contextmanager
def being_read(folder: Path) -> Iterator[None]:
    """While it lasts, nobody joins files; before it, what ended processes have left is joined where it is too much."""
    join_left(folder, keep=_FEW)
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_SH)
        yield
    finally:
        os.close(number)


def join_left(folder: Path, *, keep: int) -> None:
    """Adds up what processes that have ended have left, where these are more than `keep` files of a kind.

    What can't be read, as a crash of the machine leaves it, is dropped. While others read, nothing is done.
    """
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for kind in _KINDS:
            with ExitStack() as held:
                paths = sorted(folder.glob(f"{kind}_*.db"))
                left = [path for path in paths if held.enter_context(_if_nobodys(path))]
                if len(left) > keep:
                    _join(left, folder / f"{kind}_0.db")
    except BlockingIOError:
        return
    finally:
        os.close(number)


def _join(left: list[Path], target: Path) -> None:
    totals: dict[str, float] = defaultdict(float)
    for path in left:
        with suppress(struct.error, RuntimeError, UnicodeDecodeError):
            for key, value, _, _ in MmapedDict.read_all_values_from_file(path):
                totals[key] += value
    unfinished = target.with_suffix(".joining")
    unfinished.unlink(missing_ok=True)
    with closing(ReservedFile(str(unfinished))) as file:
        for key, value in totals.items():
            file.write_value(key, value, 0.0)
        if file.is_in_memory:
            unfinished.unlink(missing_ok=True)
            return
    unfinished.replace(target)
    for path in left:
        if path != target:
            path.unlink(missing_ok=True)


def _own(filename: str) -> BinaryIO:
    """The file, locked, with room for its first figures: a number may come again, when what was left is added to."""
    path = Path(filename)
    while True:
        file = path.open("a+b")
        fcntl.flock(file, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                if os.fstat(file.fileno()).st_size < _SIZE:
                    file.truncate(_SIZE)
                return file
        file.close()


@contextmanager
def _if_nobodys(path: Path) -> Iterator[bool]:
    """Whether no process has the file; while this lasts, none will."""
    try:
        file = path.open("rb")
    except OSError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
