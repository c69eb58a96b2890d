"""The WSGI application that the web processes serve."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genfeed.settings")

application = get_wsgi_application()


def _be_ready() -> None:
    """Asks for what the first request of a kind would else come too early for."""
    from django.conf import settings

    from catalog.providers import queue
    from genfeed.front import stopping

    stopping.listen()
    if settings.PUBLIC_URL:
        queue.get_ready()


_be_ready()
