"""The ASGI application of the web processes: streams are held by the event loop, the rest is WSGI in threads."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genfeed.settings")

django = get_wsgi_application()

from django.conf import settings  # noqa: E402

from genfeed.front.serving import Front  # noqa: E402

application = Front(django, threads=settings.WEB_THREADS)
