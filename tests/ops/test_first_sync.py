"""Which catalog `manage.py up` takes for its own: that of the address it talks to now."""

import pytest
from django.utils import timezone

from catalog import sync_runs
from catalog.models import SyncRun
from genfeed import up

pytestmark = pytest.mark.django_db

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
