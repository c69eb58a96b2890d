"""What the commands about catalogs of other installations share: options, progress and the closing line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from genfeed.cloud import downloading
from genfeed.cloud.taking import Taken, Trust


def add_trust_arguments(parser: CommandParser) -> None:
    """Options that overrule what protects the catalog, each for one call."""
    parser.add_argument(
        "--trust-new-key", action="store_true", help="Pin the key that is offered now instead of the one pinned before."
    )
    parser.add_argument("--accept-older", action="store_true", help="Take an export older than the one that is here.")
    parser.add_argument(
        "--accept-shrink", action="store_true", help="Believe a catalog that lost more than half of the known models."
    )


def trust_of(options: Mapping[str, Any]) -> Trust:
    """What the options of a call overrule."""
    return Trust(new_key=options["trust_new_key"], older=options["accept_older"], shrink=options["accept_shrink"])


@contextmanager
def shown_progress() -> Iterator[downloading.Progress]:
    """Progress on a terminal, and none elsewhere."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("asking the cloud", total=None)

        def show(phase: str, done: int, total: int) -> None:
            progress.update(bar, description=phase, completed=done, total=total or None)

        yield show


def told(taken: Taken) -> str:
    """What a call has done, as a few lines for a terminal."""
    if not taken.is_news:
        return f"Nothing new: revision {taken.revision} is the newest."
    lines = [
        f"{run.provider.name}: {run.added} models added, {run.changed} with a changed schema, {run.updated} updated, "
        f"{run.retired} retired ({run.seconds or 0:.1f} s)."
        for run in taken.runs
    ]
    lines += [f"{slug}: no such provider is known here; its models were left out." for slug in taken.skipped]
    return "\n".join([*lines, f"Took revision {taken.revision}."])
