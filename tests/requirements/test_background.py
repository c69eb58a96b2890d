"""Discovery runs beside the requests, never in them: the button and the API only ask for it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.urls import reverse
from django_q.models import OrmQ

from catalog import sync_runs
from catalog.models import SyncRun
from catalog.providers.reading import JsonReader

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture
def no_provider_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*_: Any) -> None:
        raise AssertionError("a request asked the provider itself")

    monkeypatch.setattr(JsonReader, "get", called)


def test_the_button_only_queues(no_provider_calls: None, staff: Callable[[str], HttpClient]) -> None:
    provider = sync_runs.ensure_providers()["fal"]
    answer = staff("superuser").post(reverse("admin:catalog_provider_sync", args=[provider.pk]))
    assert answer.status_code == 302
    assert (SyncRun.objects.get().status, OrmQ.objects.count()) == ("queued", 1)


def test_the_api_only_queues(no_provider_calls: None, admin_api: HttpClient) -> None:
    answer = admin_api.post("/api/v1/admin/sync", {}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize("address", ["models", "models/fal", "providers"])
def test_no_list_asks_the_provider(no_provider_calls: None, api: HttpClient, address: str) -> None:
    assert api.get(f"/api/v1/{address}").status_code == 200


def test_while_a_sync_reads_the_lists_answer_with_the_catalog_before(
    fal: Any, synced: Any, sync: Any, api: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = api.get("/api/v1/models").json()
    during: list[Any] = []
    get = JsonReader.get

    def asking(self: JsonReader, path: str, params: Any, **more: Any) -> dict[str, Any]:
        if not during and "endpoint_id" not in params:
            during.append(api.get("/api/v1/models").json())
        return get(self, path, params, **more)

    fal.patch_model("fal-ai/flux/dev", metadata={"display_name": "Renamed"})
    monkeypatch.setattr(JsonReader, "get", asking)
    sync(full=True)
    assert during == [before]
