"""What many tests share: no network but loopback, a running sandbox, clients and keys."""

import gc
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client as HttpClient

from catalog import discovery, guessing, published, sync_runs, upstreams
from catalog.models import SyncRun
from genfeed import urls  # noqa: F401 - with all pages of the admin: tests go through them before any request is made
from genfeed.clients import keys, uses
from genfeed.clients.limits import reads, strangers
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.estimates import facts, history, quotes
from pricing.reports import refusals
from tests import kept_rows, prepared, quicker, spreading
from tests.sandbox_server import RunningSandbox, recorded_catalog, running_sandbox

_connect = socket.socket.connect


# All that is collected stays to the end: looking through it again and again finds nothing to free.
gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    spreading.rewrite_a_share(config)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(200_000, 10, 50)
    gc.enable()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Asked by xdist once, in the process that hands out the tests."""
    return spreading.scheduler(config, log)


def _on_postgresql() -> bool:
    return bool(django_settings.DATABASES["default"]["ENGINE"] == "genfeed.postgresql")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.match("test_*.py") and _on_postgresql():
        return spreading.is_for_sqlite_alone(collection_path, config.rootpath) or None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL only what uses the database is run again: the rest has said the same on SQLite already."""
    spreading.long_ones_first(items)
    uses = [
        item
        for item in items
        if not spreading.is_once(item)
        and (
            item.get_closest_marker("django_db")
            or item.get_closest_marker("postgres")
            or "db" in getattr(item, "fixturenames", ())
        )
    ]
    spreading.refuse_what_would_be_left_out(uses)
    if not _on_postgresql():
        return
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Followers wait for every older transaction of the server, so also for other workers': run in a process alone.
        uses = [item for item in uses if "tests/jobs/events/" not in item.nodeid]
    using = set(uses)
    config.hook.pytest_deselected(items=[item for item in items if item not in using])
    items[:] = uses


@pytest.fixture(scope="session", autouse=True)
def _quicker() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        quicker.install(patch)
        yield


@pytest.fixture(scope="session")
def django_db_keepdb(
    django_db_modify_db_settings: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> bool:
    """Whether the tests' database is there already: the workers of one run copy one instead of migrating one each.

    So does whoever has a server to itself, whose tests may want one more of them.
    """
    several = "PYTEST_XDIST_WORKER" in os.environ or prepared.OWN_SERVER in os.environ
    with django_db_blocker.unblock():
        return several and prepared.put_migrated_in_place(tmp_path_factory)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The tests' database, as the plugin makes it, and a memory of what migrations wrote into it."""
    with django_db_blocker.unblock():
        quicker.remember_what_migrations_wrote()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A SQLite database to which all migrations were applied, made once in a run of the tests; None on PostgreSQL."""
    on_sqlite = django_settings.DATABASES["default"]["ENGINE"].endswith("sqlite")
    return prepared.migrated(tmp_path_factory) if on_sqlite else None


@pytest.fixture
def migrated_sqlite(migrated_database: Path | None, tmp_path: Path) -> Path:
    """A migrated SQLite database for processes that a test starts: a copy, which spares them all the migrations."""
    assert migrated_database is not None
    return Path(shutil.copy(migrated_database, tmp_path / "db.sqlite3"))


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
    for module in (guessing, published, upstreams, facts, history, quotes, reads, refusals, strangers, uses):
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


_FOUR = ("fal-ai/flux/dev", "fal-ai/flux/schnell", "fal-ai/veo3.1", "fal-ai/aura-sr")


@pytest.fixture(scope="session")
def _some_models(_builtin_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog file with every twelfth of the built-in models, and those of `small_fal`."""
    _builtin_sandbox.reset()
    listed: list[str] = []
    page: dict[str, Any] = {"next_cursor": ""}
    while (cursor := page["next_cursor"]) is not None:
        page = _builtin_sandbox.client.get("/v1/models", params={"cursor": cursor} if cursor else {}).json()
        listed += [model["endpoint_id"] for model in page["models"]]
    return _write_models(_builtin_sandbox, {*listed[::12], *_FOUR}, tmp_path_factory.mktemp("some") / "some.jsonl")


def _write_models(sandbox: RunningSandbox, names: Iterable[str], file: Path) -> Path:
    file.write_bytes(b"\n".join(orjson.dumps(sandbox.model(name)) for name in sorted(names)))
    return file


@pytest.fixture
def some_fal(fal: RunningSandbox, _some_models: Path) -> RunningSandbox:
    """`fal` with some sixty of its models, of all kinds: for what needs a catalog, but not the whole."""
    fal.load_catalog(_some_models)
    return fal


@pytest.fixture
def small_fal(fal: RunningSandbox, tmp_path: Path) -> RunningSandbox:
    """`fal` with four of its models, the last of which has no price: for what does not depend on how many there are."""
    fal.load_catalog(_write_models(fal, _FOUR, tmp_path / "small.jsonl"))
    return fal


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
def synced(fal: RunningSandbox, sync: Callable[..., SyncRun]) -> SyncRun:
    """The built-in catalog as a first sync brings it, and that sync's row: run once, its rows kept from then on."""
    return _first_sync("built-in", fal, sync)


@pytest.fixture
def some_synced(some_fal: RunningSandbox, sync: Callable[..., SyncRun]) -> SyncRun:
    """The catalog of `some_fal` as a first sync brings it, and that sync's row; kept as that of `synced`."""
    return _first_sync("some", some_fal, sync)


@pytest.fixture
def recorded_synced(recorded_fal: RunningSandbox, sync: Callable[..., SyncRun]) -> SyncRun:
    """The recorded catalog as a first sync brings it, and that sync's row; kept as that of `synced`."""
    return _first_sync("recorded", recorded_fal, sync)


def _first_sync(catalog: str, sandbox: RunningSandbox, sync: Callable[..., SyncRun]) -> SyncRun:
    kept_rows.once(("first sync", catalog, django_settings.GENFEED_MODE), sync)
    published.forget()
    sandbox.clear_requests()
    run = SyncRun.objects.get()
    assert run.status == "succeeded"
    return run


@pytest.fixture
def seeded(some_fal: RunningSandbox, db: None) -> None:
    """`some_fal` with its prices, as a first `manage.py sync_models` brings it; kept as that of `synced`."""
    kept_rows.once(
        ("sync_models", django_settings.GENFEED_MODE), lambda: call_command("sync_models", stdout=StringIO())
    )
    published.forget()
    some_fal.clear_requests()


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
