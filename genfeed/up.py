"""Everything on one machine with one command: migrate, first admin, sandbox where there is no key, web and worker."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DatabaseError

from catalog.models import SyncRun
from catalog.providers import base
from genfeed.checks import a_key_is_set
from genfeed.clients.models import ProviderKey
from genfeed.clients.provider_keys import fingerprint_of
from genfeed.supervisor import Child, ChildFailedError, Supervisor
from pricing.models import CloudCatalog

SANDBOX_PORT = 8484
# Connections that one web process serves at once; more wait to be accepted.
_REQUESTS = 1024


class CannotStartError(Exception):
    """Why nothing was started, in a sentence that says what to do."""


def run(
    *,
    host: str,
    port: int,
    use_sandbox: bool,
    sandbox_port: int,
    say: Callable[[str], None],
    for_tests: bool = False,
) -> None:
    """Runs until SIGINT or SIGTERM. Raises CannotStartError or ChildFailedError.

    `use_sandbox`: it stands in for fal, and runs test jobs too. `for_tests`: else one is started for test jobs alone.
    """
    _check_port(host, port, "--port")
    if use_sandbox:
        _check_port("127.0.0.1", sandbox_port, "--sandbox-port")
    supervisor = Supervisor(say)
    try:
        _prepare(say)
        _choose_provider(use_sandbox, sandbox_port, say)
        test_socket = _choose_test_sandbox(wanted=for_tests and not use_sandbox, port=sandbox_port)
        _start_all(
            supervisor,
            host=host,
            port=port,
            sandbox_port=sandbox_port if use_sandbox else None,
            test_socket=test_socket,
            say=say,
        )
        if not supervisor.stopping:
            _first_sync(_platform_url(sandbox_port if use_sandbox else None), say)
        if not supervisor.stopping:
            say(_welcome(host, port))
        supervisor.watch()
    finally:
        say("Stopping …")
        supervisor.stop()


def wants_sandbox() -> bool:
    """Without a key, and without another address for fal, there is nothing to talk to but the sandbox.

    In core mode any key counts, of any provider or kept for any client, and a cloud's catalog is no sandbox's.
    """
    if settings.GENFEED_MODE == "core" and (settings.CATALOG_SOURCE == "cloud" or _has_other_keys()):
        return False
    return settings.SANDBOX_ACTIVE or (not settings.FAL_KEY and settings.FAL_PLATFORM_URL == settings.FAL_ITSELF)


def _has_other_keys() -> bool:
    if settings.REPLICATE_API_TOKEN not in ("", settings.SANDBOX_REPLICATE_KEY):
        return True
    try:
        kept = ProviderKey.objects.values_list("fingerprint", flat=True)
        return any(fingerprint not in map(fingerprint_of, settings.SANDBOX_ACCEPTS) for fingerprint in kept)
    except DatabaseError:
        # Not there yet: this is the first start.
        return False


def _check_port(host: str, port: int, option: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStartError(
                f"{host}:{port} can't be used ({error.strerror}). Stop what runs there, or choose another port "
                f"with {option}."
            ) from None


def _prepare(say: Callable[[str], None]) -> None:
    say("Preparing the database …")
    call_command("migrate", interactive=False, verbosity=0)
    # Counters of processes that are gone.
    shutil.rmtree(settings.METRICS_DIR, ignore_errors=True)
    settings.METRICS_DIR.mkdir(parents=True, exist_ok=True)
    User = get_user_model()
    if not User.objects.filter(is_superuser=True).exists():
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser("admin", password=password)
        say(f"First administrator: user admin, password {password} (shown this once; change it in the admin).")


def _choose_provider(use_sandbox: bool, sandbox_port: int, say: Callable[[str], None]) -> None:
    """Leaves the sandbox's address for all commands of this installation, or removes it."""
    file: Path = settings.SANDBOX_FILE
    if not use_sandbox:
        file.unlink(missing_ok=True)
        if not _has_other_keys():
            for missing in a_key_is_set():
                say(f"{missing.msg} {missing.hint}")
        return
    file.write_text(f"http://127.0.0.1:{sandbox_port}")
    say("No FAL_KEY is set: the sandbox stands in for fal.ai. Nothing leaves this machine, nothing costs money.")
    if settings.GENFEED_MODE == "core":
        say("To run models on keys of your own that clients set or send, start with --no-sandbox.")


def wants_test_sandbox() -> bool:
    """Whether test jobs have no sandbox elsewhere."""
    return settings.TEST_SANDBOX_URL in ("", _left_address())


def _left_address() -> str:
    """The test sandbox that an earlier start has left the address of."""
    file: Path = settings.TEST_SANDBOX_FILE
    return file.read_text().strip() if file.exists() else ""


def _choose_test_sandbox(*, wanted: bool, port: int) -> socket.socket | None:
    """Leaves the test sandbox's address for all commands of this installation, or removes it; the socket it gets.

    Any port will do: where the usual one is taken, another is. It listens from now on, so that nobody takes the port
    before the test sandbox is there, or while it is started again.
    """
    file: Path = settings.TEST_SANDBOX_FILE
    if not wanted:
        file.unlink(missing_ok=True)
        return None
    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError:
        listening = socket.create_server(("127.0.0.1", 0))
    file.write_text(f"http://127.0.0.1:{listening.getsockname()[1]}")
    return listening


def _start_all(
    supervisor: Supervisor,
    *,
    host: str,
    port: int,
    sandbox_port: int | None,
    test_socket: socket.socket | None,
    say: Callable[[str], None],
) -> None:
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    if sys.stderr.isatty():
        # A person reads along; anything that collects logs gets JSON.
        os.environ.setdefault("LOG_FORMAT", "text")
    if sandbox_port is not None:
        sandbox = Child("sandbox", [*manage, "sandbox", "--port", str(sandbox_port)])
        supervisor.start(sandbox)
        supervisor.wait_until(lambda: _answers(f"http://127.0.0.1:{sandbox_port}/v1/meta"), sandbox, seconds=30)
    if test_socket is not None:
        # It needs no models of its own: each request brings its model along.
        command = [*manage, "sandbox", "--fd", str(test_socket.fileno()), "--catalog", os.devnull]
        supervisor.start(Child("test sandbox", command, sockets=[test_socket]))
    web = Child("web", web_command(host, port))
    supervisor.start(web)
    supervisor.start(Child("worker", [*manage, "qcluster"]))
    supervisor.start(Child("dispatcher", [*manage, "dispatch"]))
    supervisor.wait_until(lambda: _answers(f"http://{_reachable(host)}:{port}/healthz"), web, seconds=30)
    if not supervisor.stopping:
        say(f"Serving on http://{_reachable(host)}:{port}")


def web_command(host: str, port: int) -> list[str]:
    """How the web process is started, here and under any other supervisor."""
    command = [
        sys.executable, "-m", "genfeed.front.server", "--drain-seconds", str(settings.WEB_DRAIN_SECONDS),
        "--interface", settings.WEB_INTERFACE,
        f"genfeed.{settings.WEB_INTERFACE}:application",
        "--host", host, "--port", str(port), "--workers", str(settings.WEB_WORKERS),
        "--log-level", "warning", "--no-ws", "--workers-kill-timeout", str(settings.WEB_STOP_SECONDS),
    ]  # fmt: skip
    if settings.WEB_INTERFACE == "wsgi":
        return [*command, "--blocking-threads", str(settings.WEB_THREADS), "--backpressure", str(_REQUESTS)]
    # Each stream is a connection, beside those of short requests.
    return [*command, "--backpressure", str(_REQUESTS + settings.MAX_STREAMS)]


def _platform_url(sandbox_port: int | None) -> str:
    """Where the processes that were just started find the Platform API of fal, which a first start asks."""
    if sandbox_port is not None:
        return f"http://127.0.0.1:{sandbox_port}/v1"
    # Our own settings may still name a sandbox that was given up for this start.
    return str(settings.FAL_ITSELF if settings.SANDBOX_ACTIVE else settings.FAL_PLATFORM_URL)


def is_known(platform_url: str) -> bool:
    """Whether the catalog is what this address told last. All sandboxes of this machine count as one."""
    newest = SyncRun.objects.filter(status=SyncRun.Status.SUCCEEDED, provider__slug=base.usual()).first()
    if newest is None:
        return False
    return newest.source == platform_url or (_is_here(newest.source) and _is_here(platform_url))


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _first_sync(platform_url: str, say: Callable[[str], None]) -> None:
    """Discovers at the first start, and again where a key now opens fal itself instead of the sandbox."""
    if settings.CATALOG_SOURCE == "cloud":
        if CloudCatalog.objects.filter(imported_at__isnull=False).exists():
            return
        command = "sync_from_cloud"
        say(f"Bringing the catalog from {urlsplit(settings.CLOUD_URL).netloc} for the first time …")
    elif is_known(platform_url):
        return
    else:
        command = "sync_models"
        say(f"Discovering the catalog of {urlsplit(platform_url).netloc} for the first time …")
    # A process of its own: this one read its settings before the sandbox was chosen.
    done = subprocess.run([sys.executable, str(settings.BASE_DIR / "manage.py"), command], check=False)
    if done.returncode:
        say("The first sync failed; the reason stands above. Start another in the admin, under Providers.")


def _welcome(host: str, port: int) -> str:
    url = f"http://{_reachable(host)}:{port}"
    return (
        f"\n  Admin  {url}/admin/\n  API    {url}/api/v1/docs\n"
        "  A key  manage.py create_client NAME\n\n  Ctrl-C stops everything; the data stays.\n"
    )


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - always our own http address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


__all__ = [
    "CannotStartError",
    "ChildFailedError",
    "is_known",
    "run",
    "wants_sandbox",
    "wants_test_sandbox",
    "web_command",
]
