"""`manage.py import_existing FILE`: take in a collection that was there before."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from genfeed.journal.audit import Actor
from pricing.existing.importing import ImportResult, import_rows
from pricing.existing.reading import BadFileError, read_file
from pricing.existing.rows import FIELDS, Adapter, BadRow, LegacyRow, check_rows

_SHOWN = 20
ACTOR = Actor(name="command")


class Command(BaseCommand):
    help = (
        "Imports models from a JSON or CSV file of the shape id, name, provider, category, pricing.input, "
        "pricing.output, pricing.image, pricing.video, pricing.fixedPrice, enabled. Their prices and switches are kept "
        "to the digit, whatever is discovered later. The same file again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="The file, UTF-8; - reads standard input.")
        add_adapter_arguments(parser)
        parser.add_argument(
            "--update",
            action="store_true",
            help="Bring models that were imported before to what the file says now. Without it they stay as they are.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Show what would be done, and write nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        rows, _ = read_rows(self, options["file"], options)
        result = import_rows(rows, actor=ACTOR, update=options["update"], dry_run=options["dry_run"])
        self.stdout.write(summary(result, dry_run=options["dry_run"]))
        for legacy_id, fields in list(result.differing.items())[:_SHOWN]:
            self.stdout.write(f"  kept as it was: {legacy_id}; the file says otherwise of: {', '.join(fields)}")
        if result.differing:
            self.stdout.write("  --update takes over what the file says.")


def add_adapter_arguments(parser: CommandParser) -> None:
    """The options that say how the columns of another table are to be read."""
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=THEIRS",
        help="The column of the file that a field stands in, e.g. id=model_id or pricing.image=cost.per_image. "
        f"Fields: {', '.join(FIELDS)}. May be given several times.",
    )
    parser.add_argument(
        "--default",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="What a field is for every row where the file has no such column, e.g. provider=fal.",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="Import the good rows where some are bad. Without it: all or none."
    )


def read_rows(command: BaseCommand, name: str, options: dict[str, Any]) -> tuple[list[LegacyRow], list[BadRow]]:
    """The checked rows of a file and the bad ones, which are told on the terminal.

    Raises CommandError where the file can't be read, and where rows are bad without --skip-bad.
    """
    try:
        adapter = Adapter(_pairs("--map", options["map"]), _pairs("--default", options["default"]))
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        good, bad = check_rows(read_file(content, name=name), adapter)
    except OSError as error:
        raise CommandError(f"{name} can't be read: {error.strerror}.") from None
    except BadFileError as error:
        raise CommandError(str(error)) from None
    _tell_bad(command, bad)
    if bad and not options["skip_bad"]:
        raise CommandError(
            f"{len(bad)} of {len(bad) + len(good)} rows are bad; nothing was imported. "
            "Mend them, or take the good ones alone with --skip-bad."
        )
    return good, bad


def summary(result: ImportResult, *, dry_run: bool) -> str:
    """The counts of an import in one line."""
    counts = result.counts()
    would = "would be " if dry_run else ""
    return (
        f"{counts['added']} {would}added, {counts['joined']} {would}joined with models that were discovered, "
        f"{counts['updated']} {would}updated, {counts['unchanged']} unchanged, {counts['differing']} kept as they were."
    )


def _tell_bad(command: BaseCommand, bad: list[BadRow]) -> None:
    for row in bad[:_SHOWN]:
        command.stderr.write(str(row))
    if len(bad) > _SHOWN:
        command.stderr.write(f"… and {len(bad) - _SHOWN} more bad rows")


def _pairs(option: str, given: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in given:
        field, equals, value = pair.partition("=")
        if not equals or not field or not value:
            raise CommandError(f"{option} {pair}: write FIELD=VALUE, e.g. id=model_id.")
        if field in pairs:
            raise CommandError(f"{option} names {field} twice.")
        pairs[field] = value
    return pairs
