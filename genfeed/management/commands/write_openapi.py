"""Writes docs/openapi.json anew, and tells what breaks for callers of the last release."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from genfeed.api_document import DOCUMENT, RELEASED, as_text, breaks_since_release, current_document


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--release", action="store_true", help="with a release: from now on this is what changes are compared with"
        )

    def handle(self, **options: Any) -> None:
        text = as_text(current_document())
        if RELEASED.exists():
            for one in breaks_since_release():
                self.stderr.write(self.style.WARNING(f"breaks callers: {one}"))
        for path in (DOCUMENT, RELEASED) if options["release"] else (DOCUMENT,):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text)
            self.stdout.write(f"wrote {path}")
