"""The answer of a page whose making failed: 503 while the database is away, which passes by itself; else 500."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views import defaults

from genfeed.clients.errors import AWAY_SECONDS

_AWAY = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>One moment</title></head>
<body><h1>One moment</h1>
<p>Our database can't be used just now. Load this page again in a few seconds.</p></body></html>
"""


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: asked while the error is being handled."""
    error = sys.exception()
    if isinstance(error, OperationalError | InterfaceError):
        return HttpResponse(_AWAY, status=503, headers={"Retry-After": str(AWAY_SECONDS)})
    return defaults.server_error(request)
