"""Which catalog `manage.py up` takes for its own: that of the address it talks to now."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from catalog import sync_runs
from catalog.models import SyncRun
from genfeed import up
from genfeed.clients.models import Client
from genfeed.clients.provider_keys import keep_key
from genfeed.journal.audit import SYSTEM

pytestmark = [pytest.mark.django_db, pytest.mark.once]

FAL = "https://api.fal.ai/v1"
SANDBOX = "http://127.0.0.1:8484/v1"


def synced(source: str, status: str = "succeeded") -> None:
    provider = sync_runs.ensure_providers()["fal"]
    SyncRun.objects.create(
        provider=provider, trigger="command", status=status, source=source, requested_at=timezone.now()
    )


def test_an_empty_installation_discovers() -> None:
    assert not up.is_known(SANDBOX)


def test_a_start_after_a_failed_first_sync_discovers() -> None:
    synced(SANDBOX, status="failed")
    assert not up.is_known(SANDBOX)


def test_a_second_start_does_not_discover_again() -> None:
    synced(FAL)
    assert up.is_known(FAL)


def test_a_sandbox_on_another_port_is_the_same_sandbox() -> None:
    synced(SANDBOX)
    assert up.is_known("http://127.0.0.1:9999/v1")


def test_a_key_that_was_added_replaces_the_sandboxs_catalog_at_the_next_start() -> None:
    synced(SANDBOX)
    assert not up.is_known(FAL)


def test_a_key_that_was_taken_away_brings_the_sandboxs_catalog_back() -> None:
    synced(SANDBOX)
    synced(FAL)
    assert not up.is_known(SANDBOX)


def test_a_failed_sync_changes_nothing_about_whose_catalog_it_is() -> None:
    synced(FAL)
    synced(SANDBOX, status="failed")
    assert up.is_known(FAL)


def test_without_a_sandbox_it_is_fal_itself_even_where_one_was_chosen_before(settings) -> None:
    settings.SANDBOX_ACTIVE = True
    settings.FAL_PLATFORM_URL = SANDBOX
    assert up._platform_url(None) == FAL
    assert up._platform_url(8484) == SANDBOX


def test_another_address_for_fal_is_the_one_that_is_asked(settings) -> None:
    settings.FAL_PLATFORM_URL = "https://fal.example.com/v1"
    assert up._platform_url(None) == "https://fal.example.com/v1"


@pytest.mark.parametrize(
    ("mode", "changed", "wants"),
    [
        ("core", {}, True),
        ("cloud", {"REPLICATE_API_TOKEN": "r8_real"}, True),
        ("core", {"REPLICATE_API_TOKEN": "r8_real"}, False),
        ("core", {"CATALOG_SOURCE": "cloud"}, False),
    ],
)
def test_in_core_mode_a_sandbox_stands_in_only_where_there_is_no_key_at_all(
    settings: Any, mode: str, changed: dict[str, str], wants: bool
) -> None:
    settings.GENFEED_MODE, settings.FAL_KEY, settings.FAL_PLATFORM_URL = mode, "", settings.FAL_ITSELF
    settings.REPLICATE_API_TOKEN = ""
    for name, value in changed.items():
        setattr(settings, name, value)

    assert up.wants_sandbox() is wants


def test_a_key_that_is_kept_for_a_client_in_core_mode_is_one_for_the_provider_itself(settings: Any) -> None:
    settings.GENFEED_MODE, settings.FAL_KEY, settings.FAL_PLATFORM_URL = "core", "", settings.FAL_ITSELF
    settings.SANDBOX_ACTIVE, settings.REPLICATE_API_TOKEN = True, settings.SANDBOX_REPLICATE_KEY
    client = Client.objects.create(name="Alice")

    keep_key(client, "fal", settings.SANDBOX_KEY, state="valid", detail="", actor=SYSTEM)
    assert up.wants_sandbox()

    keep_key(client, "fal", "alice:alice-secret", state="valid", detail="", actor=SYSTEM)
    assert not up.wants_sandbox()


# --- a key that is missing ---


@pytest.fixture
def said(settings: Any, tmp_path: Path) -> list[str]:
    settings.SANDBOX_FILE, settings.FAL_KEY, settings.REPLICATE_API_TOKEN = tmp_path / "sandbox_url", "", ""
    return []


@pytest.mark.parametrize("use_sandbox", [True, False])
def test_a_start_without_a_key_names_the_setting(said: list[str], use_sandbox: bool) -> None:
    up._choose_provider(use_sandbox, 8484, said.append)

    assert "FAL_KEY" in said[0]


def test_a_start_with_a_key_names_none(said: list[str], settings: Any) -> None:
    settings.FAL_KEY = "an:other"

    up._choose_provider(False, 8484, said.append)

    assert said == []


def test_a_start_on_keys_of_clients_names_none(said: list[str], settings: Any) -> None:
    settings.GENFEED_MODE = "core"
    keep_key(Client.objects.create(name="Alice"), "fal", "alice:secret-of-the-provider", state="valid", detail="",
             actor=SYSTEM)  # fmt: skip

    up._choose_provider(False, 8484, said.append)

    assert said == []
