"""`manage.py dispatch`: the process that brings jobs to their provider and back."""

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jobs.dispatcher import Dispatcher


class Command(BaseCommand):
    help = (
        "Runs a dispatcher: it submits queued jobs, watches those at the provider, and settles them. Any number may "
        "run, on any number of machines. It stops on SIGTERM and SIGINT after the calls under way have ended."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--threads", type=int, default=None, help="Calls at once; DISPATCH_THREADS by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        self.stdout.write("The dispatcher is running.")
        Dispatcher(threads=options["threads"]).run(stop)
        self.stdout.write("The dispatcher has stopped.")
