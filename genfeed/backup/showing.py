"""What the two commands share: progress on a terminal, and the passphrase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from genfeed.backup import manifest
from genfeed.backup.manifest import BackupError


@contextmanager
def shown_progress() -> Iterator[manifest.Progress]:
    """Shows a bar on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=None)

        def show(phase: str, done: int, total: int) -> None:
            bars.update(bar, description=phase, completed=done, total=total or None)

        yield show


def passphrase_of(path: Path | None) -> str:
    """The first line of the file, or "" without one; raises BackupError. Never an argument: others would see it."""
    if path is None:
        return ""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise BackupError(f"{path} can't be read: {error.strerror}.") from None
    if not lines or not lines[0].strip():
        raise BackupError(f"{path} is empty: its first line must be the passphrase.")
    return lines[0].strip()
