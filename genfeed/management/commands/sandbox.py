"""`manage.py sandbox`: the fal-compatible server, as a command."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from genfeed.sandbox.server import DESCRIPTION, add_options, leave, run


class Command(BaseCommand):
    """Hands its options to the sandbox, which knows nothing of Django."""

    help = DESCRIPTION
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the sandbox's own options."""
        add_options(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Serve, and end with the sandbox's exit code."""
        code = run(
            host=options["host"],
            port=options["port"],
            fd=options["fd"],
            latency_ms=options["latency"],
            catalog=options["catalog"],
            base_url=options["base_url"],
        )
        leave(code)
