"""GET /v1/models/pricing and POST /v1/models/pricing/estimate."""

from typing import Any

import httpx
import pytest

from tests.sandbox_server import RunningSandbox

PRICING = "/v1/models/pricing"
ESTIMATE = "/v1/models/pricing/estimate"


def test_prices_come_in_the_order_that_was_asked_for(keyed: httpx.Client) -> None:
    ids = ["fal-ai/flux/schnell", "fal-ai/flux/dev"]
    assert keyed.get(PRICING, params={"endpoint_id": ids}).json() == {
        "prices": [
            {"endpoint_id": "fal-ai/flux/schnell", "unit_price": 0.003, "unit": "megapixels", "currency": "USD"},
            {"endpoint_id": "fal-ai/flux/dev", "unit_price": 0.025, "unit": "megapixels", "currency": "USD"},
        ],
        "next_cursor": None,
        "has_more": False,
    }


def test_prices_are_not_told_without_a_key(builtin: RunningSandbox) -> None:
    answer = builtin.client.get(PRICING, params={"endpoint_id": "fal-ai/flux/dev"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authorization_error")


def test_one_unpriced_model_makes_the_whole_batch_not_found(builtin: RunningSandbox, keyed: httpx.Client) -> None:
    builtin.patch_model("fal-ai/flux/schnell", price=None)
    answer = keyed.get(PRICING, params={"endpoint_id": "fal-ai/flux/dev,fal-ai/flux/schnell"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")
    assert keyed.get(PRICING, params={"endpoint_id": "fal-ai/flux/dev"}).status_code == 200


def test_fifty_ids_are_priced_at_once(builtin: RunningSandbox, keyed: httpx.Client) -> None:
    models = builtin.client.get("/v1/models", params={"q": "flux"}).json()["models"]
    ids = [model["endpoint_id"] for model in models if builtin.model(model["endpoint_id"])["price"]][:50]
    assert len(ids) == 50
    assert len(keyed.get(PRICING, params={"endpoint_id": ids}).json()["prices"]) == 50


@pytest.mark.parametrize("ids", [[], [""], [f"fal-ai/model-{number}" for number in range(51)]])
def test_a_batch_of_none_or_too_many_is_refused(keyed: httpx.Client, ids: list[str]) -> None:
    assert keyed.get(PRICING, params={"endpoint_id": ids}).status_code == 400


def test_a_unit_price_estimate_is_the_sum_over_all_endpoints(keyed: httpx.Client) -> None:
    endpoints = {"fal-ai/flux/dev": {"unit_quantity": 50}, "fal-ai/flux/schnell": {"unit_quantity": 0.5}}
    answer = keyed.post(ESTIMATE, json={"estimate_type": "unit_price", "endpoints": endpoints})
    assert answer.json() == {"estimate_type": "unit_price", "total_cost": 1.2515, "currency": "USD"}


def test_an_estimate_from_the_past_grows_with_the_calls(keyed: httpx.Client) -> None:
    def total(calls: int) -> float:
        endpoints = {"fal-ai/flux/dev": {"call_quantity": calls}}
        answer = keyed.post(ESTIMATE, json={"estimate_type": "historical_api_price", "endpoints": endpoints})
        return answer.json()["total_cost"]

    assert total(10) == pytest.approx(10 * total(1))


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"estimate_type": "unit_price"},
        {"estimate_type": "unit_price", "endpoints": {}},
        {"estimate_type": "unit_price", "endpoints": {"fal-ai/flux/dev": {"call_quantity": 1}}},
        {"estimate_type": "unit_price", "endpoints": {"fal-ai/flux/dev": {"unit_quantity": 0}}},
        {"estimate_type": "historical_api_price", "endpoints": {"fal-ai/flux/dev": {"call_quantity": 1.5}}},
        {"estimate_type": "historical_api_price", "endpoints": {"fal-ai/flux/dev": {"call_quantity": True}}},
    ],
)
def test_an_estimate_that_the_document_does_not_allow_is_refused(keyed: httpx.Client, body: Any) -> None:
    answer = keyed.post(ESTIMATE, json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "validation_error")


def test_an_estimate_that_is_not_json_is_refused(keyed: httpx.Client) -> None:
    assert keyed.post(ESTIMATE, content=b"{").status_code == 400


def test_the_fourth_estimate_within_the_window_is_refused(keyed: httpx.Client) -> None:
    body = {"estimate_type": "unit_price", "endpoints": {"fal-ai/flux/dev": {"unit_quantity": 1}}}
    answers = [keyed.post(ESTIMATE, json=body) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10


def test_the_limit_of_estimates_can_be_set(builtin: RunningSandbox, keyed: httpx.Client) -> None:
    builtin.faults(estimate_rate_limit={"requests": 1, "per_seconds": 60})
    body = {"estimate_type": "unit_price", "endpoints": {"fal-ai/flux/dev": {"unit_quantity": 1}}}
    assert [keyed.post(ESTIMATE, json=body).status_code for _ in range(2)] == [200, 429]


def test_the_prices_do_not_count_towards_the_limit_of_estimates(keyed: httpx.Client) -> None:
    statuses = {keyed.get(PRICING, params={"endpoint_id": "fal-ai/flux/dev"}).status_code for _ in range(5)}
    assert statuses == {200}
