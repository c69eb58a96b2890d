"""The ASGI application of the web processes: streams are held by the event loop, the rest is WSGI in threads."""

from django.conf import settings

from genfeed.front.serving import Front
from genfeed.wsgi import application as django

# After the application: it sets up what this imports.
from genfeed import remembered  # isort: skip

application = Front(
    django,
    threads=settings.WEB_THREADS,
    largest_ahead=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    folder=str(settings.FILE_UPLOAD_TEMP_DIR),
    ahead=remembered.ahead,
)
