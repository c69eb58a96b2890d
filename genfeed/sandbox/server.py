"""Running the sandbox: options, the listening socket, a clean end."""

import argparse
import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from genfeed.sandbox.app import create_app
from genfeed.sandbox.catalog import CatalogError
from genfeed.sandbox.keys import keys_from_environment
from genfeed.sandbox.state import Sandbox

DEFAULT_PORT = 8484
DESCRIPTION = (
    "Run a local server that behaves like fal.ai: its Platform API, queue, storage and webhooks. "
    "It needs no key from fal, no money and no internet. "
    "It offers the models of the file named by SANDBOX_CATALOG, else its own built-in ones. "
    "It runs until it is interrupted."
)
WELCOME = """\
The sandbox listens on {base}. It offers {models} models from {source}.
  FAL_PLATFORM_URL={base}/v1
  FAL_QUEUE_URL={base}/queue
  FAL_RUN_URL={base}/run
  FAL_REST_URL={base}/rest
  FAL_CDN_URL={base}/cdn
  FAL_WEB_URL={base}
Keys it accepts: {keys} (scope API) and {admin_keys} (scope ADMIN).
Control it under {base}/_sandbox/: state, requests, faults, queue, webhooks, models, catalog, reset."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to a parser."""
    parser.add_argument("--host", default="127.0.0.1", help="The address to listen on. The default is 127.0.0.1.")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"The port to listen on. The default is {DEFAULT_PORT}."
    )
    parser.add_argument(
        "--fd",
        type=int,
        metavar="NUMBER",
        help="A listening socket that whoever starts it has opened and passes on, instead of --host and --port.",
    )
    parser.add_argument(
        "--base-url",
        metavar="URL",
        help="The address under which others reach it, which its answers name, e.g. http://sandbox:8484. "
        "The default is made of --host and --port.",
    )
    parser.add_argument(
        "--latency",
        type=float,
        default=0.0,
        metavar="MS",
        help="Hold every answer up by this many milliseconds, as a distant server would. The default is 0.",
    )
    parser.add_argument(
        "--catalog",
        type=Path,
        metavar="FILE",
        help="Offer the models of this file. Without it the file named by SANDBOX_CATALOG is taken, "
        "and without that the built-in models.",
    )


def run(
    *,
    host: str,
    port: int,
    fd: int | None = None,
    latency_ms: float = 0.0,
    catalog: Path | None = None,
    base_url: str | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code, for `leave`: 0, or 1 with a sentence on stderr."""
    passed = None
    try:
        if fd is None:
            _check_bindable(host, port)
        else:
            passed = socket.socket(fileno=fd)
            host, port = passed.getsockname()[:2]
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        where, hint = f"{host}:{port}", "Stop what uses it, or choose another --port."
        if fd is not None:
            where, hint = f"the socket {fd}", "Pass one that listens, or choose a --port."
        print(f"The sandbox cannot listen on {where}: {reason}. {hint}", file=sys.stderr)
        return 1
    named = os.environ.get("SANDBOX_CATALOG")
    shown_host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    sandbox = Sandbox(
        base_url=base_url.rstrip("/") if base_url else f"http://{shown_host}:{port}",
        keys=keys_from_environment(),
        start_catalog=catalog or (Path(named) if named else None),
        base_latency_ms=latency_ms,
    )
    try:
        sandbox.reset()
    except CatalogError as error:
        print(error, file=sys.stderr)
        return 1
    asyncio.run(_serve(sandbox, host, port, passed))
    return 0


def _check_bindable(host: str, port: int) -> None:
    """Raises OSError where the port cannot be had. Asked before, as the server itself would share a port in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


class _Server(Server):
    """granian's own; `passed`: the listening socket to take instead of opening one."""

    passed: socket.socket | None = None

    def _init_shared_socket(self) -> None:
        if self.passed is None:
            super()._init_shared_socket()
        else:
            self._ssp = None
            self._shd = SocketHolder(self.passed.fileno(), False, self.backlog)  # type: ignore[call-arg,assignment]


async def _serve(sandbox: Sandbox, host: str, port: int, passed: socket.socket | None) -> None:
    server = _Server(
        create_app(sandbox),
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    server.passed = passed
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, server.stop)
    print(_welcome(sandbox), flush=True)
    await server.serve()


def leave(code: int) -> NoReturn:
    """End the process at once with an exit code.

    The server's own threads may still be at work, and one that meets a Python which is being taken down panics.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _welcome(sandbox: Sandbox) -> str:
    return WELCOME.format(
        base=sandbox.base_url,
        models=len(sandbox.models),
        source=sandbox.start_catalog or "its built-in table",
        keys=", ".join(sorted(sandbox.keys.api)) or "none",
        admin_keys=", ".join(sorted(sandbox.keys.admin)) or "none",
    )
