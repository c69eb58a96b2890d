"""A request of ASGI in the words of WSGI."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def environ_of(scope: Mapping[str, Any], body: Any) -> dict[str, Any]:
    """The WSGI environment of an HTTP request; `body` is a readable that ends where the body does."""
    root, path = scope.get("root_path", ""), scope["path"]
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _latin(root),
        "PATH_INFO": _latin(path.removeprefix(root)),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        # Bodies without a length end by themselves.
        "wsgi.input_terminated": True,
    }
    server, client = scope.get("server"), scope.get("client")
    environ["SERVER_NAME"], environ["SERVER_PORT"] = (server[0], str(server[1] or 0)) if server else ("localhost", "80")
    if client:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    for raw_name, raw_value in scope["headers"]:
        # X_Request_Id would read as X-Request-Id: what a proxy sets could be forged.
        if b"_" in raw_name:
            continue
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        if name not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            name = f"HTTP_{name}"
        if name in environ:
            value = f"{environ[name]}{'; ' if name == 'HTTP_COOKIE' else ','}{value}"
        environ[name] = value
    return environ


def _latin(text: str) -> str:
    """WSGI writes the bytes of an address as characters."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
