"""`manage.py dispatch`: the process that brings jobs to their provider and back."""

import gc
import signal
from threading import Thread
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from genfeed.flags import Flag
from genfeed.journal import links
from jobs.dispatching.dispatcher import Dispatcher
from jobs.webhooks.sender import Sender


class Command(BaseCommand):
    help = (
        "Runs a dispatcher: it submits queued jobs, watches those at the provider, settles them, and tells clients by "
        "webhooks. Any number may run, on any number of machines. It stops on SIGTERM and SIGINT after the calls under "
        "way have ended."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--threads", type=int, default=None, help="Calls at once; DISPATCH_THREADS by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        links.get_ready()
        # All that is here by now stays: to look through it for garbage again would stop all threads, and whoever waits
        # for a lock that one of them holds.
        gc.collect()
        gc.freeze()
        stop = Flag()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        self.stdout.write("The dispatcher is running.")
        telling = Thread(target=Sender().run, args=(stop,), name="webhooks")
        telling.start()
        try:
            Dispatcher(threads=options["threads"]).run(stop)
        finally:
            stop.set()
            telling.join()
        self.stdout.write("The dispatcher has stopped.")
