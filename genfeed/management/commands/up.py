"""`manage.py up`: GenFeed on this machine, all of it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from genfeed import up


class Command(BaseCommand):
    help = (
        "Runs GenFeed on this machine: brings the database up to date, makes the first administrator, starts the "
        "sandbox where no FAL_KEY is set, discovers the catalog, and serves admin and API with the background worker. "
        "Ctrl-C stops all of it; the data stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="The address to listen on; 127.0.0.1 by default.")
        parser.add_argument("--port", type=int, default=8000, help="The port to listen on; 8000 by default.")
        parser.add_argument(
            "--no-sandbox",
            action="store_true",
            help="Talk to fal.ai itself even without a key, and start none for test jobs.",
        )
        parser.add_argument(
            "--sandbox-port",
            type=int,
            default=up.SANDBOX_PORT,
            help=f"The sandbox's port; {up.SANDBOX_PORT} by default.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            up.run(
                host=options["host"],
                port=options["port"],
                use_sandbox=up.wants_sandbox() and not options["no_sandbox"],
                sandbox_port=options["sandbox_port"],
                for_tests=up.wants_test_sandbox() and not options["no_sandbox"],
                say=self._say,
            )
        except (up.CannotStartError, up.ChildFailedError) as error:
            raise CommandError(str(error)) from error

    def _say(self, words: str) -> None:
        self.stdout.write(words)
        self.stdout.flush()
