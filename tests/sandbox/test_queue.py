"""fal's queue: how requests are taken, how they live, how they end."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import orjson
import pytest

from tests.sandbox.caller import FLUX, FOX, Caller
from tests.sandbox_server import RunningSandbox


def test_a_submission_is_answered_with_200_and_urls_of_owner_and_alias(fal: Caller) -> None:
    fal.sandbox.faults(processing_ms=60_000)
    answer = fal.post()
    body = answer.json()
    base = f"{fal.sandbox.base_url}/queue/fal-ai/flux/requests/{body['request_id']}"
    assert answer.status_code == 200
    assert UUID(body["request_id"])
    assert (body["response_url"], body["status_url"], body["cancel_url"]) == (base, f"{base}/status", f"{base}/cancel")
    assert (body["status"], body["queue_position"]) == ("IN_QUEUE", 0)
    assert body["gateway_request_id"] != body["request_id"]


@pytest.mark.parametrize("key", ["", "Key wrong:key", "Bearer sandbox-key:sandbox-secret"])
def test_without_a_good_key_the_refusal_names_owner_and_alias_only(builtin: RunningSandbox, key: str) -> None:
    answer = builtin.client.post(f"/queue/{FLUX}", json=FOX, headers={"Authorization": key} if key else {})
    assert answer.status_code == 401
    words = 'Cannot access application "fal-ai/flux". Authentication is required to access this application.'
    assert answer.json() == {"detail": words}


def test_an_unknown_app_is_refused_at_once(fal: Caller) -> None:
    answer = fal.post("fal-ai/nobody-knows-this")
    assert (answer.status_code, answer.json()) == (404, {"detail": 'Application "nobody-knows-this" not found'})


def test_an_unknown_path_of_a_known_app_is_found_out_by_running_it_and_costs_nothing(fal: Caller) -> None:
    answer = fal.run("fal-ai/flux/nobody-knows-this")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Path /nobody-knows-this not found"})
    assert answer.headers["x-fal-billable-units"] == "0"


def test_an_account_without_money_is_locked(fal: Caller) -> None:
    fal.sandbox.faults(balance=0)
    answer = fal.post()
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("User is locked. Reason: Exhausted balance.")
    assert fal.sandbox.queue()["accepted"] == 0


def test_bills_exhaust_the_balance(fal: Caller) -> None:
    fal.sandbox.faults(balance=0.03)
    assert [fal.run().status_code, fal.run().status_code] == [200, 200]
    assert fal.post().status_code == 403


def test_a_waiting_request_is_202_with_its_position_and_a_running_one_202_with_logs(fal: Caller) -> None:
    fal.sandbox.faults(processing_ms=60_000, concurrency=1)
    running, first, second = fal.submit(), fal.submit(), fal.submit()
    assert fal.wait(running, "IN_PROGRESS")["logs"] is None
    assert fal.status(running).status_code == 202
    assert [fal.status(one).json()["queue_position"] for one in (first, second)] == [0, 1]
    assert fal.status(second).status_code == 202
    assert set(fal.status(second).json()) == {
        "status", "request_id", "queue_position", "response_url", "status_url", "cancel_url",
    }  # fmt: skip


def test_a_finished_request_is_200_with_metrics(fal: Caller) -> None:
    request = fal.submit()
    state = fal.wait(request)
    assert fal.status(request).status_code == 200
    assert state["metrics"]["inference_time"] >= 0
    assert state["logs"] is None
    assert "error" not in state


def test_logs_are_a_window_of_the_latest_lines(fal: Caller) -> None:
    request = fal.submit()
    fal.wait(request)
    logs = fal.status(request, logs=1).json()["logs"]
    assert [one["message"] for one in logs] == ["Step 8 of 10", "Step 9 of 10", "Step 10 of 10"]
    assert set(logs[0]) == {"message", "level", "source", "timestamp"}


@pytest.mark.parametrize("suffix", ["", "/response"])
def test_the_result_is_the_output_with_its_units_in_a_header(fal: Caller, suffix: str) -> None:
    request = fal.submit()
    fal.wait(request)
    answer = fal.client.get(request["response_url"] + suffix)
    assert answer.status_code == 200
    assert set(answer.json()) >= {"images", "seed", "has_nsfw_concepts", "prompt"}
    assert answer.headers["x-fal-request-id"] == request["request_id"]
    assert answer.headers["x-fal-billable-units"] == "1"


def test_the_full_endpoint_id_is_understood_in_paths_too(fal: Caller) -> None:
    request = fal.submit()
    fal.wait(request)
    assert fal.client.get(f"/queue/{FLUX}/requests/{request['request_id']}/status").status_code == 200
    assert fal.client.get(f"/queue/{FLUX}/requests/{request['request_id']}/status/").status_code == 200


def test_a_request_is_unknown_under_another_app(fal: Caller) -> None:
    request = fal.submit()
    answer = fal.client.get(f"/queue/fal-ai/veo3/requests/{request['request_id']}/status")
    assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})


def test_namespaces_belong_to_the_app(fal: Caller) -> None:
    fal.sandbox.add_model({"endpoint_id": "workflows/acme/portrait/step"})
    request = fal.submit("workflows/acme/portrait/step")
    assert "/queue/workflows/acme/portrait/requests/" in request["status_url"]
    assert fal.result(request).status_code == 200


def test_a_result_is_not_there_before_the_end(fal: Caller) -> None:
    fal.sandbox.faults(processing_ms=60_000)
    answer = fal.client.get(fal.submit()["response_url"])
    assert (answer.status_code, answer.json()) == (400, {"detail": "Request is still in progress"})


def test_a_wrong_input_is_accepted_and_fails_at_the_result_for_nothing(fal: Caller) -> None:
    request = fal.submit(given={"prompt": 5, "num_images": 99, "guidance_scale": 0.5})
    answer = fal.result(request)
    assert answer.status_code == 422
    assert {(one["loc"][-1], one["type"]) for one in answer.json()["detail"]} == {
        ("prompt", "string_type"),
        ("num_images", "less_than_equal"),
        ("guidance_scale", "greater_than_equal"),
    }
    assert answer.headers["x-fal-billable-units"] == "0"
    assert answer.headers["x-fal-retryable"] == "false"
    assert "error" not in fal.wait(request)
    assert fal.bill(request["request_id"]) is None


def test_a_missing_field_is_named(fal: Caller) -> None:
    detail = fal.run(given={}).json()["detail"]
    assert [(one["loc"], one["type"], one["msg"]) for one in detail] == [
        (["body", "prompt"], "missing", "Field required")
    ]


def test_a_body_that_is_no_json_is_refused_at_once(fal: Caller) -> None:
    assert fal.client.post(f"/queue/{FLUX}", content=b"{").status_code == 422


def test_as_many_run_at_once_as_the_account_may(fal: Caller) -> None:
    fal.sandbox.faults(processing_ms=60_000, concurrency=2)
    requests = [fal.submit() for _ in range(5)]
    fal.wait(requests[1], "IN_PROGRESS")
    assert [fal.status(one).json()["status"] for one in requests] == ["IN_PROGRESS"] * 2 + ["IN_QUEUE"] * 3
    fal.sandbox.move(requests[0]["request_id"], "finish")
    assert fal.status(requests[2]).json()["status"] == "IN_PROGRESS"


def test_low_priority_waits_behind_the_others(fal: Caller) -> None:
    fal.sandbox.faults(concurrency=0)
    low = fal.submit(headers={"X-Fal-Queue-Priority": "low"})
    normal = fal.submit()
    assert (fal.status(normal).json()["queue_position"], fal.status(low).json()["queue_position"]) == (0, 1)


def test_a_queue_longer_than_the_caller_wants_is_429(fal: Caller) -> None:
    fal.sandbox.faults(concurrency=0)
    fal.submit()
    fal.submit()
    assert fal.post(params={"fal_max_queue_length": 2}).status_code == 200
    assert fal.post(params={"fal_max_queue_length": 2}).status_code == 429


def test_a_request_that_does_not_start_in_time_ends_with_504(fal: Caller) -> None:
    fal.sandbox.faults(concurrency=0)
    request = fal.submit(headers={"X-Fal-Request-Timeout": "0.15"})
    answer = fal.result(request)
    assert (answer.status_code, answer.json()["error_type"]) == (504, "request_timeout")
    assert answer.headers["x-fal-request-timeout-type"] == "user"
    assert fal.wait(request)["error_type"] == "request_timeout"


def test_a_waiting_request_is_cancelled_at_once(fal: Caller) -> None:
    fal.sandbox.faults(concurrency=0)
    request = fal.submit()
    answer = fal.client.put(request["cancel_url"])
    assert (answer.status_code, answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert fal.wait(request)["error_type"] == "client_cancelled"
    assert fal.result(request).status_code == 499
    assert fal.sandbox.queue()["waiting"] == 0


def test_a_finished_request_cannot_be_cancelled(fal: Caller) -> None:
    request = fal.submit()
    fal.wait(request)
    answer = fal.client.put(request["cancel_url"])
    assert (answer.status_code, answer.json()) == (400, {"status": "ALREADY_COMPLETED"})


def test_an_unknown_request_cannot_be_cancelled(fal: Caller) -> None:
    answer = fal.client.put("/queue/fal-ai/flux/requests/0b9c0f0e-0000-4000-8000-000000000000/cancel")
    assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})


def test_the_stream_tells_every_state_until_the_end(fal: Caller) -> None:
    fal.sandbox.faults(concurrency=0)
    request = fal.submit()
    states: list[str] = []
    with fal.client.stream("GET", request["status_url"] + "/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if not line:
                continue
            states.append(orjson.loads(line.removeprefix("data: "))["status"])
            if states == ["IN_QUEUE"]:
                fal.sandbox.faults(concurrency=1)
    assert states[0] == "IN_QUEUE"
    assert states[-1] == "COMPLETED"


def test_a_direct_call_answers_with_the_output(fal: Caller) -> None:
    answer = fal.client.post(f"/run/{FLUX}", json=FOX)
    assert answer.status_code == 200
    assert len(answer.json()["images"]) == 1
    assert answer.headers["x-fal-billable-units"] == "1"


def test_a_direct_call_without_room_is_429(fal: Caller) -> None:
    fal.sandbox.faults(concurrency=0)
    answer = fal.client.post(f"/run/{FLUX}", json=FOX)
    assert answer.status_code == 429
    assert answer.headers["x-fal-error-type"] == "concurrent_requests_limit"
    assert answer.headers["x-fal-needs-retry"] == "1"


def test_direct_calls_of_one_moment_are_all_taken_while_there_is_room(fal: Caller) -> None:
    fal.sandbox.faults(processing_ms=20, concurrency=40)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: fal.client.post(f"/run/{FLUX}", json=FOX).status_code, range(40)))
    assert set(answers) == {200}


def test_the_last_event_of_a_direct_stream_is_the_output(fal: Caller) -> None:
    with fal.client.stream("POST", f"/run/{FLUX}/stream", json=FOX) as stream:
        events = [orjson.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line]
    assert len(events) > 1
    assert "images" in events[-1]


def test_finished_requests_are_forgotten_when_there_are_too_many() -> None:
    from genfeed.sandbox.queue import line as module
    from genfeed.sandbox.queue.request import Options, QueuedRequest

    def request(number: int) -> QueuedRequest:
        return QueuedRequest(str(number), "", FLUX, "fal-ai/flux", {}, 10, Options(), {}, 0.0)

    kept = module.Line()
    for number in range(module.KEPT + 5):
        one = request(number)
        kept.requests[one.request_id] = one
        kept.finish(one, 1.0)
    assert (len(kept.requests), kept.forgotten) == (module.KEPT, 5)
    assert "4" not in kept.requests
    kept.finish(request(-1), 1.0 + 2 * module.KEPT_SECONDS)
    assert len(kept.finished) == 1


def test_wrong_methods_are_405(fal: Caller) -> None:
    request = fal.submit()
    answers: list[httpx.Response] = [
        fal.client.get(f"/queue/{FLUX}"),
        fal.client.put(request["status_url"]),
        fal.client.get(request["cancel_url"]),
        fal.client.post(request["response_url"]),
    ]
    assert [answer.status_code for answer in answers] == [405] * 4
