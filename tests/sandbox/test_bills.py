"""What is billed, when it shows up, and that it adds up; all of it against fal's own document."""

import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from genfeed.sandbox.media.making import Wish, make
from tests.sandbox.caller import FLUX, FOX, Caller
from tests.sandbox.conftest import PlatformContract
from tests.sandbox_server import RunningSandbox

USAGE, EVENTS, HISTORY = "/v1/models/usage", "/v1/models/billing-events", "/v1/models/requests/by-endpoint"


def billed(fal: Caller, endpoint_id: str, given: dict[str, Any]) -> Decimal:
    """The cost by price row and header."""
    answer = fal.run(endpoint_id, given)
    assert answer.status_code == 200, answer.text
    price = fal.sandbox.model(endpoint_id)["price"]["unit_price"]
    return (Decimal(answer.headers["x-fal-billable-units"]) * Decimal(str(price))).normalize()


@pytest.mark.parametrize(
    ("endpoint_id", "given", "cost"),
    [
        ("fal-ai/flux/dev", {"image_size": "square_hd", "num_images": 2}, "0.05"),
        ("fal-ai/flux/dev", {"image_size": {"width": 1025, "height": 1024}, "num_images": 2}, "0.1"),
        ("fal-ai/veo3.1", {"duration": "8s", "generate_audio": False}, "1.6"),
        ("fal-ai/veo3.1", {"duration": "8s", "generate_audio": True, "resolution": "4k"}, "4.8"),
        ("fal-ai/kling-video/v2.6/pro/text-to-video", {"duration": "10"}, "1.4"),
        ("fal-ai/nano-banana-pro", {"resolution": "4K", "enable_web_search": True}, "0.315"),
        ("fal-ai/wan-25-preview/text-to-video", {"resolution": "1080p", "duration": "5"}, "0.75"),
    ],
)
def test_variants_are_folded_into_the_units_at_the_price_of_the_row(
    fal: Caller, endpoint_id: str, given: dict[str, Any], cost: str
) -> None:
    assert billed(fal, endpoint_id, FOX | given) == Decimal(cost)


@pytest.mark.parametrize(
    ("unit", "given", "units"),
    [
        ("images", {"num_images": 3}, "3"),
        ("megapixels", {"image_size": {"width": 1000, "height": 500}, "num_images": 2}, "1"),
        ("seconds", {"duration": "8s"}, "8"),
        ("seconds", {"num_frames": 81, "fps": 16}, "5.06250000"),
        ("minutes", {"duration": 90}, "1.50000000"),
        ("5 seconds", {"duration": 6}, "2"),
        ("16 frames", {"num_frames": 80}, "5"),
        ("1000 characters ", {"text": "a" * 250}, "0.25000000"),
        ("steps", {"steps": 700}, "700"),
        ("generations", {"num_images": 4}, "1"),
    ],
)
def test_a_catalog_of_rows_is_billed_by_unit_and_quantity(
    fal: Caller, unit: str, given: dict[str, Any], units: str
) -> None:
    fal.sandbox.add_model({"endpoint_id": "acme/any", "price": {"unit_price": 0.1, "unit": unit}})
    assert fal.run("acme/any", given).headers["x-fal-billable-units"] == units


def test_seconds_of_a_machine_are_those_of_the_metrics(fal: Caller) -> None:
    fal.sandbox.add_model({"endpoint_id": "acme/any", "price": {"unit_price": 0.1, "unit": "compute seconds"}})
    request = fal.submit("acme/any", {})
    units = fal.result(request).headers["x-fal-billable-units"]
    assert float(units) == fal.wait(request)["metrics"]["inference_time"] > 1


@pytest.mark.parametrize("kind", ["wav", "mp4"])
@pytest.mark.parametrize("inline", [True, False])
def test_the_length_of_an_uploaded_file_is_billed(fal: Caller, kind: str, inline: bool) -> None:
    fal.sandbox.add_model({"endpoint_id": "acme/any", "price": {"unit_price": 0.1, "unit": "seconds"}})
    content = make(Wish(kind, "a seed", seconds=7.5))
    url = f"data:;base64,{b64encode(content).decode()}"
    if not inline:
        asked = fal.client.post("/rest/storage/upload/initiate", json={"file_name": f"a.{kind}"}).json()
        fal.client.put(asked["upload_url"], content=content)
        url = asked["file_url"]
    assert fal.run("acme/any", {"video_url": url}).headers["x-fal-billable-units"] == "7.50000000"


def test_an_app_without_a_price_is_billed_by_the_machine_without_a_header(fal: Caller) -> None:
    fal.sandbox.add_model({"endpoint_id": "acme/any"})
    request = fal.submit("acme/any", {})
    assert "x-fal-billable-units" not in fal.result(request).headers
    event = fal.bill(request["request_id"])
    assert event is not None
    assert event["unit"] == "compute seconds"


def test_an_event_tells_the_whole_bill(fal: Caller, contract: PlatformContract) -> None:
    request = fal.submit(given=FOX | {"num_images": 2})
    fal.wait(request)
    answer = fal.admin.get(EVENTS, params={"request_id": request["request_id"]})
    contract.check(answer)
    (event,) = answer.json()["billing_events"]
    assert (event["request_id"], event["endpoint_id"]) == (request["request_id"], FLUX)
    assert (event["output_units"], event["unit_price"], event["unit"]) == (2, 0.025, "megapixels")
    assert (event["cost_subtotal"], event["cost_discount"], event["cost_total"]) == (0.05, 0, 0.05)
    assert event["cost_estimate_nano_usd"] == 50_000_000
    assert event["percent_discount"] is None


def test_events_lag_behind_their_requests(fal: Caller) -> None:
    fal.sandbox.faults(billing_lag=0.3)
    request = fal.submit()
    fal.wait(request)
    assert fal.bill(request["request_id"]) is None
    time.sleep(0.35)
    assert fal.bill(request["request_id"]) is not None


def test_an_event_can_be_missing(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"event_missing": True, "times": 1}])
    missing, other = fal.submit(), fal.submit()
    fal.wait(missing)
    fal.wait(other)
    assert (fal.bill(missing["request_id"]), fal.bill(other["request_id"]) is None) == (None, False)


def test_an_event_can_carry_a_discount(fal: Caller, contract: PlatformContract) -> None:
    fal.sandbox.faults(jobs=[{"discount_percent": 20}])
    request = fal.submit()
    fal.wait(request)
    event = fal.bill(request["request_id"])
    assert event is not None
    assert (event["percent_discount"], event["cost_subtotal"], event["cost_total"]) == (20, 0.025, 0.02)
    assert event["cost_discount"] == pytest.approx(0.005)
    contract.check(fal.admin.get(EVENTS))


def test_an_event_can_be_corrected_later(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"correction": {"after": 0.3, "times": 3}}])
    request = fal.submit()
    fal.wait(request)
    before = fal.bill(request["request_id"])
    time.sleep(0.35)
    after = fal.bill(request["request_id"])
    assert before is not None
    assert after is not None
    assert (before["cost_total"], after["cost_total"]) == (0.025, 0.075)


def test_events_come_in_pages_newest_first(fal: Caller, contract: PlatformContract) -> None:
    requests = [fal.submit()["request_id"] for _ in range(5)]
    for request_id in requests:
        fal.wait({"status_url": f"/queue/fal-ai/flux/requests/{request_id}/status"})
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2, "endpoint_id": FLUX}
    while True:
        answer = fal.admin.get(EVENTS, params=params)
        contract.check(answer)
        seen += [event["request_id"] for event in answer.json()["billing_events"]]
        if not answer.json()["has_more"]:
            break
        params["cursor"] = answer.json()["next_cursor"]
    assert sorted(seen) == sorted(requests)
    assert len(seen) == 5


def test_a_period_without_requests_has_no_events(fal: Caller) -> None:
    fal.run()
    ended = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert fal.admin.get(EVENTS, params={"end": ended}).json()["billing_events"] == []
    assert len(fal.admin.get(EVENTS, params={"start": ended}).json()["billing_events"]) == 1


@pytest.mark.parametrize("timeframe", ["minute", "hour", "day", "week", "month"])
def test_usage_adds_the_bills_up(fal: Caller, contract: PlatformContract, timeframe: str) -> None:
    for count in (1, 2):
        fal.run(given=FOX | {"num_images": count})
    fal.sandbox.faults(discount_percent=50)
    fal.run()
    answer = fal.admin.get(USAGE, params={"expand": ["time_series", "summary"], "timeframe": timeframe})
    contract.check(answer)
    body = answer.json()
    assert [(one["quantity"], one["percent_discount"], one["cost_total"]) for one in body["summary"]] == [
        (3, None, 0.075),
        (1, 50, 0.0125),
    ]
    assert sum(one["cost_total"] for bucket in body["time_series"] for one in bucket["results"]) == pytest.approx(
        0.0875
    )


def test_the_account_tells_what_is_left(fal: Caller, contract: PlatformContract) -> None:
    fal.sandbox.faults(balance=10)
    fal.run()
    answer = fal.admin.get("/v1/account/billing", params={"expand": "credits"})
    contract.check(answer)
    assert answer.json()["credits"] == {"current_balance": 9.975, "currency": "USD"}
    assert set(fal.admin.get("/v1/account/billing").json()) == {"username"}


@pytest.mark.parametrize("path", [USAGE, EVENTS, "/v1/account/billing"])
def test_money_needs_an_admin_key(fal: Caller, contract: PlatformContract, path: str) -> None:
    answer = fal.client.get(path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "authorization_error")
    contract.check(answer)
    assert fal.sandbox.client.get(path).status_code == 401


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (EVENTS, {"start": "yesterday"}),
        (EVENTS, {"limit": "0"}),
        (EVENTS, {"start": "2026-01-01", "end": "2026-09-01"}),
        (USAGE, {"timeframe": "year"}),
        (USAGE, {"expand": "auth_method"}),
        (HISTORY, {}),
        ("/v1/models/analytics", {}),
        ("/v1/models/analytics", {"endpoint_id": FLUX, "expand": "summary"}),
        ("/v1/models/analytics", {"endpoint_id": FLUX, "expand": "request_count"}),
        (HISTORY, {"endpoint_id": FLUX, "status": "fine"}),
        (HISTORY, {"endpoint_id": FLUX, "request_id": "1"}),
    ],
)
def test_senseless_questions_are_refused(
    fal: Caller, contract: PlatformContract, path: str, params: dict[str, str]
) -> None:
    answer = fal.admin.get(path, params=params)
    assert answer.status_code == 400
    contract.check(answer)


def test_requests_are_listed_with_their_payloads(fal: Caller, contract: PlatformContract) -> None:
    request = fal.submit()
    output = fal.result(request).json()
    answer = fal.client.get(HISTORY, params={"endpoint_id": FLUX, "expand": "payloads"})
    contract.check(answer)
    (item,) = answer.json()["items"]
    assert (item["json_input"], item["json_output"], item["status_code"]) == (FOX, output, 200)
    plain = fal.client.get(HISTORY, params={"endpoint_id": FLUX, "request_id": request["request_id"]}).json()["items"]
    assert "json_input" not in plain[0]


def test_requests_that_still_run_are_listed_too(fal: Caller, contract: PlatformContract) -> None:
    fal.sandbox.faults(concurrency=0)
    fal.submit()
    answer = fal.client.get(HISTORY, params={"endpoint_id": FLUX})
    contract.check(answer)
    assert [(one["ended_at"], one["status_code"]) for one in answer.json()["items"]] == [(None, None)]


def test_requests_are_listed_by_how_they_ended(fal: Caller) -> None:
    fal.run()
    fal.run(given={})
    fal.sandbox.faults(jobs=[{"error": {"status": 500}}])
    fal.run()
    found = [
        [
            one["status_code"]
            for one in fal.client.get(HISTORY, params={"endpoint_id": FLUX, "status": status}).json()["items"]
        ]
        for status in ("success", "user_error", "error")
    ]
    assert found == [[200], [422], [500]]


def test_payloads_that_must_not_be_stored_are_not_listed(fal: Caller) -> None:
    fal.run(headers={"X-Fal-Store-IO": "0"})
    (item,) = fal.client.get(HISTORY, params={"endpoint_id": FLUX, "expand": "payloads"}).json()["items"]
    assert "json_input" not in item


def test_payloads_and_their_files_can_be_deleted(fal: Caller) -> None:
    request = fal.submit()
    url = fal.result(request).json()["images"][0]["url"]
    answer = fal.admin.delete(f"/v1/models/requests/{request['request_id']}/payloads")
    assert answer.json() == {"cdn_delete_results": [{"link": url, "exception": None}]}
    assert fal.client.get(url).status_code == 404
    (item,) = fal.client.get(HISTORY, params={"endpoint_id": FLUX, "expand": "payloads"}).json()["items"]
    assert "json_output" not in item


def test_a_repeated_deletion_is_answered_like_the_first(fal: Caller) -> None:
    request = fal.submit()
    fal.wait(request)
    path, headers = f"/v1/models/requests/{request['request_id']}/payloads", {"Idempotency-Key": "one"}
    first, again = fal.admin.delete(path, headers=headers), fal.admin.delete(path, headers=headers)
    assert len(first.json()["cdn_delete_results"]) == 1
    assert again.json() == first.json()
    assert fal.admin.delete(path).json() == {"cdn_delete_results": []}


def test_analytics_count_how_requests_ended(fal: Caller, contract: PlatformContract) -> None:
    fal.run()
    fal.run(given={})
    fal.sandbox.faults(jobs=[{"error": {"status": 504, "error_type": "request_timeout"}}])
    fal.run()
    counts = ["request_count", "success_count", "user_error_count", "error_count", "timeout_error_count"]
    params = {
        "endpoint_id": FLUX,
        "expand": ["summary", "time_series", "p50_duration", "p99_prepare_duration", *counts],
    }
    answer = fal.client.get("/v1/models/analytics", params=params)
    contract.check(answer)
    (record,) = answer.json()["summary"]
    assert [record[name] for name in counts] == [3, 1, 1, 1, 1]
    assert answer.json()["time_series"][0]["results"] == [record]


def test_payloads_are_deleted_with_an_admin_key_only(fal: Caller) -> None:
    request = fal.submit()
    assert fal.client.delete(f"/v1/models/requests/{request['request_id']}/payloads").status_code == 403


def test_a_recorded_catalog_knows_no_variants(recorded: RunningSandbox) -> None:
    recorded.faults(processing_ms=0)
    with Caller(recorded) as caller:
        given = FOX | {"duration": "8s", "generate_audio": True, "resolution": "4k"}
        assert caller.run("fal-ai/veo3.1", given).headers["x-fal-billable-units"] == "8"
