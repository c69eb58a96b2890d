"""The limit: our front, in our server with our options, before an application that answers with constant bytes."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

from genfeed.front.serving import Front

_BODY = b"x" * int(os.environ["GENFEED_BENCH_BYTES"])
_HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))]


def _constant(_environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", _HEADERS)
    return [_BODY]


application = Front(_constant, threads=settings.WEB_THREADS)
