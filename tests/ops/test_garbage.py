"""Looking for garbage stops all threads of a process: what stays for as long as it runs is not looked through."""

import gc
import signal
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import clear_url_caches, get_resolver

from catalog import sync_runs
from genfeed.front import stopping
from jobs.management.commands import dispatch

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(autouse=True)
def thawed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is frozen before and after; and signals stay with who has them."""
    monkeypatch.setattr(stopping, "listen", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_a_web_process_is_ready_once_its_routes_are_read_and_all_of_it_is_spared() -> None:
    from genfeed import wsgi

    clear_url_caches()
    gc.unfreeze()

    wsgi._be_ready()

    assert "url_patterns" in vars(get_resolver())
    assert gc.get_freeze_count() > 100_000


def test_a_sync_by_command_has_read_the_routes_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_url_caches()
    were_read: list[bool] = []

    def begin(*_given: Any, **_options: Any) -> None:
        were_read.append("url_patterns" in vars(get_resolver("genfeed.admin_urls")))
        raise CommandError("That is enough.")

    monkeypatch.setattr(sync_runs, "request_run", begin)

    with pytest.raises(CommandError, match="enough"):
        call_command("sync_models")

    assert were_read == [True]


def test_what_a_dispatcher_begins_with_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []

    class Running:
        def __init__(self, **_options: Any) -> None: ...

        def run(self, _stop: Event) -> None:
            frozen.append(gc.get_freeze_count())

    monkeypatch.setattr(dispatch, "Dispatcher", Running)
    monkeypatch.setattr(dispatch, "Sender", Running)

    call_command("dispatch")

    assert min(frozen) > 100_000
