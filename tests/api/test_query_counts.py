"""The number of queries of an answer does not depend on the number of models."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from catalog import published
from genfeed.clients import keys
from genfeed.clients.limits import reads
from tests.factories import make_model, make_models, publish_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]

DETAIL = "/api/v1/models/fal-ai/flux/dev"


def queries_of(client: HttpClient, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address)
    assert answer.status_code == 200
    return len(captured)


@pytest.fixture(autouse=True)
def _in_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process asks the key's bucket once a second; here no second passes."""
    monkeypatch.setattr(reads, "_LEASE_SECONDS", 3600.0)


def fresh_process() -> None:
    """What a process knows that has just started."""
    published.forget()
    reads.forget()
    keys._cache.clear()


@pytest.fixture(params=[10, 500])
def catalog(request: pytest.FixtureRequest) -> int:
    make_models(request.param - 1)
    make_model("fal-ai/flux/dev")
    publish_now()
    return int(request.param)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/api/v1/models", 5),  # the key, its limit, the revision, the models, who has margin rules of their own
        ("/api/v1/models?limit=200&q=made", 5),
        ("/api/v1/models/fal", 5),
        (DETAIL, 7),  # and the model's row and schema
    ],
)
def test_the_first_answer_of_a_process_costs_a_fixed_number(
    api: HttpClient, catalog: int, address: str, expected: int
) -> None:
    api.get(address)  # the key's first use is written down
    fresh_process()

    assert queries_of(api, address) == expected


@pytest.mark.parametrize(
    "address",
    ["/api/v1/models", "/api/v1/models?sort=name&limit=7", "/api/v1/models?q=made", "/api/v1/models/fal", DETAIL],
)
def test_later_answers_of_a_revision_cost_none(api: HttpClient, catalog: int, address: str) -> None:
    api.get(address)

    assert queries_of(api, address) == 0


def test_other_pages_and_filters_of_a_revision_cost_none(api: HttpClient, catalog: int) -> None:
    cursor = api.get("/api/v1/models?limit=5").json()["next_cursor"]

    assert queries_of(api, f"/api/v1/models?limit=5&cursor={cursor}") == 0
    assert queries_of(api, "/api/v1/models?media_type=image&sort=-updated_at") == 0


def test_an_unknown_model_costs_none(api: HttpClient, catalog: int, django_assert_num_queries: Any) -> None:
    api.get("/api/v1/models")

    with django_assert_num_queries(0):
        assert api.get("/api/v1/models/fal-ai/flux/dve").status_code == 404


def test_the_admin_s_list_costs_a_fixed_number(admin_api: HttpClient, catalog: int) -> None:
    admin_api.get("/api/v1/admin/models")
    fresh_process()

    assert queries_of(admin_api, "/api/v1/admin/models?limit=200") == 4


def test_switching_many_costs_no_query_a_model(
    admin_api: HttpClient, catalog: int, make_key: Callable[..., str], django_assert_max_num_queries: Any
) -> None:
    ids = [item["id"] for item in admin_api.get("/api/v1/admin/models?limit=200").json()["items"]]
    body = {"ids": ids, "enabled": False}

    # Key and revision are known: models, lock, revision (2), change, audit, and the savepoints of the test.
    with django_assert_max_num_queries(12):
        answer = admin_api.post("/api/v1/admin/models/bulk-toggle", body, content_type="application/json")

    assert len(answer.json()["changed"]) == min(catalog, 200)
