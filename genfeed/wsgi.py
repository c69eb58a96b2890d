"""The WSGI application that the web processes serve."""

import gc
import os

from django.core.wsgi import get_wsgi_application

from genfeed.front import stopping

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genfeed.settings")

# Nothing of what is loaded goes: looked through meanwhile, it takes a seventh longer.
gc.disable()
application = stopping.closing(get_wsgi_application())


def _be_ready() -> None:
    """Asks for what the first request of a kind would else come too early for."""
    from django.conf import settings
    from django.urls import get_resolver

    from catalog.providers import queue
    from genfeed import clock

    stopping.listen()
    # A webhook, or a signed address, may be the first that comes, and is good or not by the time it is.
    clock.ask()
    if settings.PUBLIC_URL:
        queue.get_ready()
    # Reads the routes, and imports what is behind them.
    _ = get_resolver().url_patterns
    # All that is here by now stays: to look through it for garbage again and again would stop all threads each time.
    gc.collect()
    gc.freeze()


_be_ready()
gc.enable()
