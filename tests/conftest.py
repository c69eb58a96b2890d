"""What many tests share: no network but loopback, a running sandbox, clients and keys."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.test import Client as HttpClient

from catalog import discovery, published, sync_runs
from catalog.models import SyncRun
from genfeed.clients import keys, uses
from genfeed.clients.limits import reads, strangers
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.estimates import facts, history, quotes
from pricing.reports import refusals
from tests.sandbox_server import RunningSandbox, recorded_catalog, running_sandbox

_connect = socket.socket.connect


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL only what uses the database is run again: the rest has said the same on SQLite already."""
    if django_settings.DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        return
    uses = [item for item in items if item.get_closest_marker("django_db") or "db" in getattr(item, "fixturenames", ())]
    using = set(uses)
    config.hook.pytest_deselected(items=[item for item in items if item not in using])
    items[:] = uses


def _connect_to_loopback(self: socket.socket, address: Any) -> Any:
    host = address[0] if isinstance(address, tuple) else ""
    if host and host not in ("127.0.0.1", "::1", "localhost"):
        raise RuntimeError(f"A test tried to reach {address}; only loopback is allowed.")
    return _connect(self, address)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", _connect_to_loopback)


@pytest.fixture(autouse=True)
def _forget_caches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Processes remember keys and the catalog for a second or two; a test must not remember the one before.

    What a test wants to see counted, it flushes: a thread would wait for the transaction that the test runs in.
    """
    monkeypatch.setattr(uses, "_start_timer", lambda: None)
    monkeypatch.setattr(refusals, "_start_timer", lambda: None)
    _forget_all()
    yield
    _forget_all()


def _forget_all() -> None:
    for module in (published, facts, history, quotes, reads, refusals, strangers, uses):
        module.forget()
    keys._cache.clear()


@pytest.fixture(scope="session")
def _recorded_sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(catalog=recorded_catalog("2026-06")) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def _builtin_sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def fal(_builtin_sandbox: RunningSandbox, settings: Any) -> RunningSandbox:
    """A sandbox with its built-in catalog, fresh for this test, and settings that point to it."""
    _builtin_sandbox.reset()
    return _point_to(_builtin_sandbox, settings)


@pytest.fixture
def recorded_fal(_recorded_sandbox: RunningSandbox, settings: Any) -> RunningSandbox:
    """A sandbox with the recorded catalog of June 2026; skipped where the recordings are missing."""
    _recorded_sandbox.reset()
    return _point_to(_recorded_sandbox, settings)


def _point_to(sandbox: RunningSandbox, settings: Any) -> RunningSandbox:
    for name, value in sandbox.settings().items():
        setattr(settings, name, [value] if name == "SSRF_ALLOW" else value)
    return sandbox


@pytest.fixture
def sync(db: None) -> Callable[..., SyncRun]:
    """Runs one sync of fal to its end, in this process, and returns its row."""

    def run(**options: Any) -> SyncRun:
        provider = sync_runs.ensure_providers()["fal"]
        row, is_new = sync_runs.request_run(provider, trigger="command", full=options.get("full", False))
        assert is_new
        done = discovery.run_sync(row, options=discovery.Options(**options))
        published.forget()
        return done

    return run


@pytest.fixture
def make_key(db: None) -> Callable[..., str]:
    """Makes an API key with the given scopes and returns its text."""

    def make(*scopes: str, client: str = "Acme") -> str:
        row, _ = Client.objects.get_or_create(name=client)
        return keys.create_key(row, actor=SYSTEM, scopes=scopes or ("models:read",))[1]

    return make


@pytest.fixture
def api(make_key: Callable[..., str]) -> HttpClient:
    """An HTTP client that carries a key with scope models:read."""
    return HttpClient(headers={"Authorization": f"Bearer {make_key()}"})


@pytest.fixture
def admin_api(make_key: Callable[..., str]) -> HttpClient:
    """An HTTP client that carries a key with scope admin."""
    return HttpClient(headers={"Authorization": f"Bearer {make_key('admin', client='Operator')}"})


@pytest.fixture
def staff(db: None) -> Callable[[str], HttpClient]:
    """Logs in a member of staff with one of the roles, or a superuser, and returns the browser-like client."""

    def log_in(role: str) -> HttpClient:
        if role == "superuser":
            user = User.objects.create_superuser("root", password="x")
        else:
            user = User.objects.create_user(f"a {role}", password="x", is_staff=True)
            user.groups.add(Group.objects.get(name=role))
        client = HttpClient()
        client.force_login(user)
        return client

    return log_in
