"""`manage.py web`: one web process, for whatever supervises it."""

import os
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from genfeed.metric_files import join_left
from genfeed.up import web_command


class Command(BaseCommand):
    help = (
        "Runs one web process, with WEB_WORKERS workers. A listening socket that systemd passes (LISTEN_FDS) is taken "
        "over, and the address is not used then. On SIGTERM it says at /readyz for WEB_DRAIN_SECONDS that it is about "
        "to stop, ends its streams, lets requests under way end for WEB_STOP_SECONDS, and stops; on SIGHUP new workers "
        "take the place of the old ones."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="The address to listen on; 127.0.0.1 by default.")
        parser.add_argument("--port", type=int, default=8000, help="The port to listen on; 8000 by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        # What a crash of the machine has left unreadable must not spoil every scrape.
        with suppress(OSError):
            join_left(settings.METRICS_DIR, keep=0)
        command = web_command(options["host"], options["port"])
        # In the place of this process: a socket is passed to its number, and a supervisor watches it.
        os.execv(command[0], command)  # noqa: S606 - our own command, without a shell
