"""The operator's key at the provider: on the server alone, in no page, answer, log line or error."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.test import Client as HttpClient
from django.urls import reverse

from catalog.models import AIModel, Provider, SyncRun
from genfeed.clients import keys
from genfeed.journal.models import Alert, AuditEvent, OutboxEvent
from tests.sandbox_server import API_KEY, ROOT

pytestmark = pytest.mark.once

SECRET = API_KEY.partition(":")[2]
Staff = Callable[[str], HttpClient]


@pytest.fixture
def browsed(some_synced: SyncRun, staff: Staff) -> HttpClient:
    """A superuser's browser beside a catalog that was synced with the key."""
    return staff("superuser")


def pages() -> list[str]:
    """Every list of the admin, and the pages that tell of the provider."""
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
    ]
    rows = [
        reverse("admin:catalog_provider_change", args=[Provider.objects.get().pk]),
        reverse("admin:catalog_provider_progress", args=[Provider.objects.get().pk]),
        reverse("admin:catalog_syncrun_change", args=[SyncRun.objects.latest("pk").pk]),
        reverse("admin:catalog_aimodel_change", args=[AIModel.objects.first().pk]),
    ]
    return ["/admin/", *lists, *rows, "/api/v1/docs", "/api/v1/openapi.json", "/readyz", "/metrics"]


def test_no_page_carries_the_key(browsed: HttpClient) -> None:
    browsed.post(reverse("admin:catalog_provider_check_key", args=[Provider.objects.get().pk]))
    for page in pages():
        answer = browsed.get(page)
        assert answer.status_code == 200, page
        assert SECRET not in answer.content.decode(), page
        assert SECRET not in str(answer.headers), page


@pytest.mark.parametrize("scope", ["models:read", "admin"])
def test_no_answer_of_the_api_carries_the_key(some_synced: SyncRun, make_key: Any, scope: str) -> None:
    client = HttpClient(headers={"Authorization": f"Bearer {make_key(scope)}"})
    addresses = ["models", "models/fal", "models/fal-ai/flux/dev", "providers", "nothing"]
    addresses += ["admin/models", "admin/sync", f"admin/sync/{some_synced.pk}"]
    for address in addresses:
        assert SECRET not in client.get(f"/api/v1/{address}").content.decode(), address


@pytest.mark.parametrize(
    "fault", [{"status": 401}, {"status": 403}, {"status": 500}, {"status": 429}, {"drop": True}, {"body": "html"}]
)
def test_no_failed_sync_tells_the_key(fal: Any, sync: Any, fault: dict[str, Any]) -> None:
    fal.faults(fail=[{"match": "^/v1/models$", "status": 200, **fault}])
    run = sync()
    assert run.status == "failed"
    told = [run.error, str(run.report), *(f"{alert.title} {alert.text}" for alert in Alert.objects.all())]
    assert not any(SECRET in words for words in told)


def test_no_log_line_of_a_sync_carries_the_key(fal: Any, sync: Any, caplog: pytest.LogCaptureFixture) -> None:
    # All loggers at their most talkative, those of the HTTP client too.
    caplog.set_level(logging.DEBUG)
    fal.faults(fail=[{"match": "^/v1/models$", "status": 503, "times": 1}])
    sync()
    assert "retrying" in caplog.text
    assert SECRET not in caplog.text


def test_no_row_of_the_database_holds_the_key(browsed: HttpClient) -> None:
    browsed.post(reverse("admin:catalog_provider_check_key", args=[Provider.objects.get().pk]))
    for model in (Provider, SyncRun, Alert, AuditEvent, OutboxEvent):
        for row in model.objects.values_list():
            assert SECRET not in str(row), model


def test_the_key_of_a_client_is_stored_as_a_digest_alone(make_key: Any) -> None:
    text = make_key()
    with connection.cursor() as cursor:
        cursor.execute("select * from clients_apikey")
        stored = str(cursor.fetchall())
    assert text not in stored
    assert keys.digest_of(text) in stored


def test_a_wrong_key_is_told_without_repeating_it(fal: Any, sync: Any, settings: Any) -> None:
    settings.FAL_KEY = "my:wrong-secret"
    run = sync()
    assert (run.status, "refused the key" in run.error) == ("failed", True)
    assert "wrong-secret" not in run.error


def test_git_ignores_the_file_that_the_key_stands_in() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in ignored
    assert "var/" in ignored


@pytest.mark.django_db
def test_a_missing_key_is_named_at_the_check_of_a_deployment(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.FAL_KEY = ""
    call_command("check", "--deploy")
    said = capsys.readouterr().err
    assert "No key of a provider is set" in said
    assert "Set FAL_KEY" in said
