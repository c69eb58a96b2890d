"""The web process's front: short requests to Django's WSGI handler in threads, streams held by the event loop."""
