"""A provider whose row has outlived its code, and short addresses that are written with a slash at the end."""

from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.models import SyncRun
from tests.factories import make_model, make_provider

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def forgotten() -> Any:
    make_model("old/one", provider="forgotten")
    return make_provider("forgotten")


def url(provider: Any, what: str) -> str:
    return f"/admin/catalog/provider/{provider.pk}/{what}/"


def test_its_page_says_that_nothing_can_be_started(root: HttpClient, forgotten: Any) -> None:
    answer = root.get(url(forgotten, "change"))
    assert answer.status_code == 200
    assert "no longer knows the provider" in answer.content.decode()
    assert "Sync now</button>" not in answer.content.decode()


@pytest.mark.parametrize("what", ["sync", "check-key"])
def test_its_buttons_are_gone(root: HttpClient, forgotten: Any, what: str) -> None:
    assert root.post(url(forgotten, what)).status_code == 404
    assert not SyncRun.objects.exists()


def test_its_models_are_still_listed(root: HttpClient, forgotten: Any) -> None:
    assert "old/one" in root.get("/admin/catalog/aimodel/").content.decode()


@pytest.mark.parametrize("short", ["models", "providers", "sync"])
def test_a_short_address_may_end_with_a_slash(root: HttpClient, short: str) -> None:
    assert root.get(f"/admin/{short}/").headers["Location"] == root.get(f"/admin/{short}").headers["Location"]
