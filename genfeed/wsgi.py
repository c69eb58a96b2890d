"""The WSGI application that the web processes serve."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genfeed.settings")

application = get_wsgi_application()


def _be_ready() -> None:
    """Asks for what the first request of a kind would else come too early for."""
    from django.conf import settings

    from catalog.providers import queue
    from genfeed import clock
    from genfeed.front import stopping

    stopping.listen()
    # A webhook, or a signed address, may be the first that comes, and is good or not by the time it is.
    clock.ask()
    if settings.PUBLIC_URL:
        queue.get_ready()


_be_ready()
