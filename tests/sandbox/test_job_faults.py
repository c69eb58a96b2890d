"""What can be made to go wrong with single requests, and what with the calls about them."""

import threading
import time
from typing import Any

import httpx
import pytest

from genfeed.sandbox.keys import keys_from_environment
from genfeed.sandbox.queue import running
from genfeed.sandbox.queue.request import Options, QueuedRequest
from genfeed.sandbox.state import Sandbox
from tests.sandbox.caller import FLUX, FOX, Caller

EVERY_RESULT = r"^/queue/.*/requests/[^/]+$"


def test_a_lost_submission_is_accepted_all_the_same(fal: Caller) -> None:
    fal.sandbox.faults(fail=[{"match": "^/queue/", "method": "POST", "accepted": True, "drop": True, "times": 1}])
    with pytest.raises(httpx.TransportError):
        fal.post()
    listed = fal.client.get(
        "/v1/models/requests/by-endpoint", params={"endpoint_id": FLUX, "expand": "payloads"}
    ).json()["items"]
    assert [one["json_input"] for one in listed] == [FOX]


def test_a_request_can_show_up_late_in_the_list(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"listed_after": 0.3}])
    fal.run()
    params = {"endpoint_id": FLUX}
    assert fal.client.get("/v1/models/requests/by-endpoint", params=params).json()["items"] == []
    time.sleep(0.35)
    assert len(fal.client.get("/v1/models/requests/by-endpoint", params=params).json()["items"]) == 1


def test_a_submission_that_is_refused_before_it_is_accepted_leaves_nothing(fal: Caller) -> None:
    fal.sandbox.faults(fail=[{"match": "^/queue/", "method": "POST", "status": 429, "retry_after": 2, "times": 1}])
    answer = fal.post()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert "detail" in answer.json()
    assert fal.sandbox.queue()["accepted"] == 0


def test_an_answer_can_be_held_back_past_the_callers_patience(fal: Caller) -> None:
    fal.sandbox.faults(fail=[{"match": "^/queue/", "method": "POST", "hold": 1.5, "times": 1}])
    with pytest.raises(httpx.ReadTimeout):
        fal.post(timeout=0.2)
    assert fal.sandbox.queue()["accepted"] == 1


def test_an_answer_that_was_held_back_is_the_true_one(fal: Caller) -> None:
    fal.sandbox.faults(fail=[{"match": "^/queue/", "method": "POST", "hold": 0.1}])
    assert fal.result(fal.submit()).status_code == 200


def test_an_accepted_call_can_be_answered_with_an_error(fal: Caller) -> None:
    fal.sandbox.faults(fail=[{"match": "^/queue/", "method": "POST", "accepted": True, "status": 502, "times": 1}])
    assert fal.post().status_code == 502
    assert fal.sandbox.queue()["accepted"] == 1


def test_a_result_can_fail_for_a_while(fal: Caller) -> None:
    fal.sandbox.faults(fail=[{"match": EVERY_RESULT, "method": "GET", "status": 500, "times": 2}])
    request = fal.submit()
    assert [fal.result(request).status_code for _ in range(3)] == [500, 500, 200]


def test_a_model_can_be_gone(fal: Caller) -> None:
    fal.sandbox.faults(gone=[FLUX])
    assert fal.post().status_code == 404
    assert fal.post("fal-ai/flux/schnell").status_code == 200


def test_a_request_can_be_stuck_in_the_queue_while_others_pass(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"match": FLUX, "stuck": "IN_QUEUE", "times": 1}])
    stuck, other = fal.submit(), fal.submit()
    fal.wait(other)
    assert fal.status(stuck).json()["status"] == "IN_QUEUE"


def test_a_request_can_be_stuck_while_it_runs_until_it_is_moved(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"stuck": "IN_PROGRESS"}])
    request = fal.submit()
    fal.wait(request, "IN_PROGRESS")
    fal.sandbox.move(request["request_id"], "finish")
    assert fal.status(request).json()["status"] == "COMPLETED"


def test_rules_choose_by_model_input_and_number(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"match": "flux", "input": "wolf", "after": 1, "times": 1, "error": {"status": 422}}])
    prompts = ["A fox", "A wolf", "A wolf", "A wolf"]
    answers = [fal.run(given={"prompt": prompt}) for prompt in prompts]
    assert [answer.status_code for answer in answers] == [200, 200, 422, 200]


def test_a_run_can_take_longer_for_some(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"input": "slow", "seconds": 0.3}])
    slow, quick = fal.submit(given={"prompt": "slow one"}), fal.submit()
    fal.wait(quick)
    assert fal.status(slow).json()["status"] == "IN_PROGRESS"
    fal.wait(slow)


def test_a_late_422_without_units_has_no_header_and_costs_nothing(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"error": {"status": 422, "type": "content_policy_violation"}}])
    request = fal.submit()
    answer = fal.result(request)
    assert answer.status_code == 422
    assert [one["type"] for one in answer.json()["detail"]] == ["content_policy_violation"]
    assert answer.json()["detail"][0]["loc"] == ["body", "prompt"]
    assert "x-fal-billable-units" not in answer.headers
    assert answer.headers["x-fal-retryable"] == "false"
    assert fal.bill(request["request_id"]) is None


def test_a_late_422_can_be_billed(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"error": {"status": 422, "type": "no_media_generated", "units": 1.5}}])
    request = fal.submit()
    assert fal.result(request).headers["x-fal-billable-units"] == "1.50000000"
    event = fal.bill(request["request_id"])
    assert event is not None
    assert (event["output_units"], event["cost_total"]) == (1.5, 0.0375)


def test_a_server_error_is_never_billed(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"error": {"status": 500, "units": 2}}])
    request = fal.submit()
    answer = fal.result(request)
    assert (answer.status_code, answer.headers["x-fal-retryable"]) == (500, "true")
    assert fal.bill(request["request_id"]) is None


def test_a_platform_error_shows_in_state_and_result(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"error": {"status": 503, "error_type": "runner_scheduling_failure"}}])
    request = fal.submit()
    state, answer = fal.wait(request), fal.result(request)
    assert (state["status"], state["error_type"]) == ("COMPLETED", "runner_scheduling_failure")
    assert state["error"]
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (503, "runner_scheduling_failure")
    assert answer.json()["error_type"] == "runner_scheduling_failure"


def test_the_detail_can_be_a_plain_text(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"error": {"status": 400, "detail": "Unsupported data URL"}}])
    assert fal.run().json() == {"detail": "Unsupported data URL"}


def test_a_failing_runner_puts_the_request_back_under_another_gateway_id(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"requeue": 3}])
    request = fal.submit()
    assert fal.result(request).status_code == 200
    assert fal.sandbox.queue()["requests"][0]["attempts"] == 4


def test_the_queue_gives_up_after_ten_attempts(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"requeue": 99}])
    request = fal.submit()
    assert (fal.result(request).status_code, fal.wait(request)["error_type"]) == (503, "runner_disconnected")
    assert fal.sandbox.queue()["requests"][0]["attempts"] == 10


def test_the_sender_can_forbid_further_attempts(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"requeue": 1}])
    assert fal.run(headers={"X-Fal-No-Retry": "1"}).status_code == 503


def test_a_running_request_can_be_put_back_by_hand(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"stuck": "IN_PROGRESS"}])
    request = fal.submit()
    fal.wait(request, "IN_PROGRESS")
    fal.sandbox.faults(concurrency=0)
    fal.sandbox.move(request["request_id"], "requeue")
    assert fal.status(request).json()["status"] == "IN_QUEUE"


def test_a_cancel_can_come_too_late_and_is_billed(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"stuck": "IN_PROGRESS", "cancel": "too_late"}])
    request = fal.submit()
    fal.wait(request, "IN_PROGRESS")
    assert fal.client.put(request["cancel_url"]).status_code == 202
    assert fal.result(request).status_code == 200
    assert fal.bill(request["request_id"]) is not None


def test_a_running_request_that_is_cancelled_in_time_is_not_billed(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"stuck": "IN_PROGRESS"}])
    request = fal.submit()
    fal.wait(request, "IN_PROGRESS")
    fal.client.put(request["cancel_url"])
    assert fal.result(request).status_code == 499
    assert fal.bill(request["request_id"]) is None


def test_a_cancel_can_be_ignored(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"stuck": "IN_PROGRESS", "cancel": "ignored"}])
    request = fal.submit()
    fal.wait(request, "IN_PROGRESS")
    assert fal.client.put(request["cancel_url"]).status_code == 202
    assert fal.status(request).json()["status"] == "IN_PROGRESS"


@pytest.mark.parametrize(("times", "units"), [(20, "20"), (0.05, "0.05000000")])
def test_units_can_be_billed_wrongly(fal: Caller, times: float, units: str) -> None:
    fal.sandbox.faults(jobs=[{"units_times": times}])
    request = fal.submit()
    assert fal.result(request).headers["x-fal-billable-units"] == units
    event = fal.bill(request["request_id"])
    assert event is not None
    assert event["output_units"] == float(units)


def test_the_bill_can_speak_of_another_unit(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"bill_unit": "1000 tokens"}])
    request = fal.submit()
    fal.wait(request)
    event = fal.bill(request["request_id"])
    assert event is not None
    assert event["unit"] == "1000 tokens"


def test_the_units_can_be_missing_from_the_headers(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"no_units_header": True}])
    request = fal.submit()
    assert "x-fal-billable-units" not in fal.result(request).headers
    assert fal.bill(request["request_id"]) is not None


def test_pictures_can_be_refused_in_part_and_only_the_others_are_billed(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"images": 1}])
    answer = fal.run(given=FOX | {"num_images": 3})
    assert len(answer.json()["images"]) == 1
    assert answer.headers["x-fal-billable-units"] == "1"


def test_media_can_be_missing(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"no_media": True}])
    answer = fal.run()
    assert answer.status_code == 200
    assert "images" not in answer.json()


def test_flagged_pictures_are_black_while_the_checker_is_on(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"nsfw": True}])
    checked, unchecked, other = (
        fal.run(given=FOX | {"output_format": "png", "enable_safety_checker": on}).json() for on in (True, False, False)
    )
    assert (checked["has_nsfw_concepts"], unchecked["has_nsfw_concepts"]) == ([True], [True])
    pictures = [fal.client.get(one["images"][0]["url"]).content for one in (checked, unchecked, other)]
    black = b"PLTE" + bytes(6)
    assert [black in picture for picture in pictures] == [True, False, False]


def test_a_mistake_of_the_sandbox_ends_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(running, "make_outcome", fail)
    request = QueuedRequest("1", "2", FLUX, "fal-ai/flux", FOX, 0, Options(), {}, 0.0)
    outcome = running._run(Sandbox("http://sandbox", keys_from_environment({})), request)
    assert (outcome.status, outcome.error_type) == (500, "internal_error")


def test_unknown_effects_are_refused_and_change_nothing(fal: Caller) -> None:
    answer = fal.client.post("/_sandbox/faults", json={"jobs": [{"explode": True}]})
    assert answer.status_code == 400
    assert "Unknown effect explode" in answer.text
    assert fal.sandbox.state()["faults"]["jobs"] == []


def test_a_move_that_makes_no_sense_is_refused(fal: Caller) -> None:
    request = fal.submit()
    fal.wait(request)
    answer = fal.client.post(f"/_sandbox/queue/{request['request_id']}", json={"do": "finish"})
    assert (answer.status_code, "ended already" in answer.text) == (400, True)


def test_a_caller_that_leaves_a_direct_call_frees_the_place(fal: Caller) -> None:
    fal.sandbox.faults(jobs=[{"input": "wait", "seconds": 3}], concurrency=1)
    with pytest.raises(httpx.ReadTimeout):
        fal.client.post(f"/run/{FLUX}", json={"prompt": "wait for it"}, timeout=0.2)
    deadline = time.monotonic() + 10
    while fal.sandbox.queue()["running"]:
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
