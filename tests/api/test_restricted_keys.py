"""Keys with allow and deny lists: a model that they bar looks unknown wherever models are named or listed."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog import narrowing, published
from catalog.models import AIModel
from genfeed.clients import keys
from genfeed.clients.models import ApiKey, Client
from genfeed.journal.audit import SYSTEM
from pricing.existing.duplicates import link
from tests.factories import make_model, make_models, publish_now
from tests.pricing.estimates.sold import make_sold, post
from tests.pricing.selling.priced import add_rule

pytestmark = [pytest.mark.django_db, pytest.mark.once]

MakeKey = Callable[..., str]
ASK = {"prompt": "a"}


@pytest.fixture
def restricted(make_key: MakeKey) -> Callable[..., HttpClient]:
    """Makes an HTTP client whose key has these lists, of a client of its own."""

    def make(*scopes: str, allowed: tuple[str, ...] = (), denied: tuple[str, ...] = ()) -> HttpClient:
        name = f"Client {Client.objects.count()}"
        text = make_key(*(scopes or ("models:read", "estimates")), client=name)
        lists = {"allowed_models": list(allowed), "denied_models": list(denied)}
        ApiKey.objects.filter(client__name=name).update(**lists)
        keys._cache.clear()
        return HttpClient(headers={"Authorization": f"Bearer {text}"})

    return make


@pytest.fixture
def two() -> tuple[AIModel, AIModel]:
    """A dear model and a cheap one of the same task; prices are costs."""
    add_rule("global", mode="markup", rate="0")
    return make_sold("a/dear", "0.05"), make_sold("b/cheap", "0.01")


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [item["id"] for item in answer.json()["items"]]


def test_lists_hold_only_what_the_key_may_use(two: Any, restricted: Any) -> None:
    assert ids(restricted(allowed=("a/*",)).get("/api/v1/models")) == ["a/dear"]
    assert ids(restricted(denied=("a/dear",)).get("/api/v1/models")) == ["b/cheap"]
    assert ids(restricted().get("/api/v1/models")) == ["a/dear", "b/cheap"]


def test_the_lists_of_the_client_bind_all_its_keys(two: Any, restricted: Any) -> None:
    api = restricted()
    Client.objects.update(denied_models=["fal:b/*"])
    keys._cache.clear()

    assert ids(api.get("/api/v1/models")) == ["a/dear"]


def test_pages_of_a_narrowed_list_are_whole(restricted: Any) -> None:
    make_models(10)
    publish_now()
    api = restricted(denied=("fal-ai/made/0001", "fal-ai/made/0003"))

    first = api.get("/api/v1/models?limit=3").json()
    second = api.get(f"/api/v1/models?limit=3&cursor={first['next_cursor']}").json()

    numbers = [item["id"][-1] for item in [*first["items"], *second["items"]]]
    assert numbers == ["0", "2", "4", "5", "6", "7"]


def test_the_legacy_list_is_narrowed_too(two: Any, restricted: Any) -> None:
    body = restricted(allowed=("b/cheap",)).get("/api/v1/models/fal").json()

    assert ([model["id"] for model in body["models"]], body["count"]) == (["b/cheap"], 1)


def test_a_provider_counts_the_models_that_the_key_may_use(two: Any, restricted: Any) -> None:
    counts = [item["models"] for item in restricted(allowed=("b/cheap",)).get("/api/v1/providers").json()["items"]]

    assert counts == [1]


@pytest.mark.parametrize("path", ["/models/b/cheap", "/models/fal:b/cheap", "/models/b/cheap/price-history"])
def test_a_barred_model_looks_like_one_that_does_not_exist(two: Any, restricted: Any, path: str) -> None:
    api = restricted(allowed=("a/*",))

    barred, unknown = api.get(f"/api/v1{path}"), api.get(f"/api/v1{path.replace('cheap', 'chaap')}")

    assert (barred.status_code, barred.json()["code"]) == (404, "model_not_found")
    named = barred.json() | {"message": barred.json()["message"].replace("cheap", "chaap"), "requestId": ""}
    assert named == unknown.json() | {"requestId": ""}
    assert "b/cheap" not in barred.json()["hint"]


def test_a_barred_model_is_not_suggested(two: Any, restricted: Any) -> None:
    answer = restricted(denied=("b/*",)).get("/api/v1/models/b/cheep").json()

    assert answer["details"]["nearest"] == []


def test_what_the_key_may_use_is_shown_as_to_everybody(two: Any, restricted: Any) -> None:
    api, free = restricted(allowed=("a/*",)), restricted()

    for path in ("/api/v1/models/a/dear", "/api/v1/models/a/dear/price-history"):
        assert api.get(path).json() == free.get(path).json()


def test_a_barred_model_has_no_estimate(two: Any, restricted: Any) -> None:
    api = restricted(denied=("b/*",))

    assert post(api, "/estimates", {"model": "b/cheap", "input": ASK}, 404)["code"] == "model_not_found"
    many = post(api, "/estimates", {"items": [{"model": one, "input": ASK} for one in ("a/dear", "fal:b/cheap")]})
    assert [item.get("error", {}).get("code") for item in many["items"]] == [None, "model_not_found"]


def test_a_barred_model_that_is_gone_is_unknown_instead_of_retired(restricted: Any) -> None:
    make_sold("b/gone", status="retired")

    assert post(restricted(), "/estimates", {"model": "b/gone", "input": ASK}, 410)["code"] == "model_retired"
    assert post(restricted(denied=("b/*",)), "/estimates", {"model": "b/gone", "input": ASK}, 404)


def test_a_barred_model_is_no_equivalent(restricted: Any) -> None:
    gone, other = make_sold("a/gone", status="retired"), make_sold("b/other")
    link(gone, other, actor=SYSTEM, reason="The vendor says so.")

    assert post(restricted(), "/estimates", {"model": "a/gone", "input": ASK}, 410)["details"]["equivalents"]
    answer = post(restricted(denied=("b/*",)), "/estimates", {"model": "a/gone", "input": ASK}, 410)
    assert answer["details"]["equivalents"] == []
    assert "b/other" not in str(answer)


def test_a_barred_model_is_no_step_of_a_workflow(two: Any, restricted: Any) -> None:
    steps = {"steps": [{"name": "one", "model": "b/cheap", "input": ASK}]}

    assert post(restricted(denied=("b/*",)), "/workflows/estimate", steps, 404)["details"]["step"] == "one"


def test_a_barred_model_is_no_cheaper_alternative(two: Any, restricted: Any) -> None:
    steps = {"steps": [{"name": "one", "model": "a/dear", "input": ASK}]}

    (open_step,) = post(restricted(), "/workflows/estimate", steps)["steps"]
    (step,) = post(restricted(denied=("b/*",)), "/workflows/estimate", steps)["steps"]

    assert open_step["cheapest_alternative"]["model"] == "b/cheap"
    assert step["cheapest_alternative"] is None


def test_a_barred_model_is_not_chosen_nor_named_among_those_left_out(two: Any, restricted: Any) -> None:
    body = post(restricted(denied=("b/*",)), "/models/select", {"task": "text-to-image", "max_price": "0.04"}, 404)

    assert [one["model"] for one in body["details"]["left_out"]] == ["a/dear"]
    assert "b/cheap" not in str(body)


def test_a_barred_model_can_not_be_asked_to_be_replaced(two: Any, restricted: Any) -> None:
    assert post(restricted(denied=("b/*",)), "/models/select", {"instead_of": "b/cheap"}, 404)


def test_a_key_of_staff_is_bound_by_its_lists_too(two: Any, restricted: Any) -> None:
    admin = restricted("admin", denied=("b/*",))

    assert ids(admin.get("/api/v1/admin/models")) == ["a/dear"]
    assert post(admin, "/admin/models/b/cheap/toggle", {"enabled": False}, 404)["code"] == "model_not_found"
    body = {"ids": ["a/dear", "b/cheap"], "enabled": False}
    assert post(admin, "/admin/models/bulk-toggle", body, 404)["details"]["unknown"] == ["b/cheap"]
    assert AIModel.objects.filter(enabled=True).count() == 2


def test_keys_with_other_lists_have_other_etags(two: Any, restricted: Any) -> None:
    one, other, free = restricted(denied=("b/*",)), restricted(denied=("a/*",)), restricted()

    etags = {api.get("/api/v1/models").headers["ETag"] for api in (one, other, free)}

    assert len(etags) == 3
    for etag in etags - {one.get("/api/v1/models").headers["ETag"]}:
        assert one.get("/api/v1/models", headers={"If-None-Match": etag}).status_code == 200


def test_a_narrowed_list_follows_the_next_revision(two: Any, restricted: Any) -> None:
    api = restricted(allowed=("b/*",))
    before = ids(api.get("/api/v1/models"))

    make_model("b/new")
    publish_now()

    assert (before, ids(api.get("/api/v1/models"))) == (["b/cheap"], ["b/cheap", "b/new"])


def test_equal_lists_share_what_is_rendered_and_the_number_kept_is_bounded(two: Any, make_key: MakeKey) -> None:
    def caller(name: str, denied: list[str]) -> keys.Caller:
        text = make_key(client=name)
        Client.objects.filter(name=name).update(denied_models=denied)
        found = keys.find_caller(text)
        assert found
        return found

    catalog = published.current()
    one = narrowing.narrowed(catalog, caller("One", ["a/*", "c"]))
    assert narrowing.narrowed(catalog, caller("Two", ["c", "a/*"])) is one

    for number in range(40):
        narrowing.narrowed(catalog, caller(f"Client {number}", [f"x/{number}"]))
    assert len(narrowing._kept) == narrowing._KEPT_AT_MOST
