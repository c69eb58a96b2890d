"""Every switch makes the sandbox fail in just that way, on the wire."""

import time
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import client_with
from tests.sandbox_server import API_KEY, RunningSandbox, running_sandbox


def statuses(sandbox: RunningSandbox, count: int, path: str = "/v1/meta") -> list[int]:
    return [sandbox.client.get(path).status_code for _ in range(count)]


def pages(sandbox: RunningSandbox, most: int = 20) -> list[dict]:
    read: list[dict] = []
    params: dict[str, str] = {}
    while len(read) < most:
        read.append(sandbox.client.get("/v1/models", params=params).json())
        if read[-1]["next_cursor"] is None:
            break
        params = {"cursor": read[-1]["next_cursor"]}
    return read


def ids(page: dict) -> list[str]:
    return [model["endpoint_id"] for model in page["models"]]


def test_a_rule_fails_the_calls_that_match(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "^/v1/meta$", "status": 503}])
    assert statuses(builtin, 2) == [503, 503]
    assert builtin.client.get("/v1/models").status_code == 200


def test_a_rule_may_look_at_the_query(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "/v1/models$", "query": "cursor=Mg", "status": 500}])
    assert builtin.client.get("/v1/models").status_code == 200
    assert builtin.client.get("/v1/models", params={"cursor": "Mg"}).status_code == 500


def test_a_rule_may_look_at_the_method(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"method": "POST", "status": 503}])
    assert statuses(builtin, 1) == [200]
    assert builtin.client.post("/v1/models/pricing/estimate").status_code == 503


def test_a_rule_lets_the_first_calls_pass_and_fails_so_many(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "meta", "status": 502, "after": 2, "times": 1}])
    assert statuses(builtin, 4) == [200, 200, 502, 200]


def test_a_rule_can_ask_for_patience(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "meta", "status": 429, "retry_after": 0.5}])
    answer = builtin.client.get("/v1/meta")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "0.5")
    assert answer.json()["error"]["type"] == "rate_limited"


def test_html_comes_in_the_place_of_json(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "models", "body": "html"}])
    answer = builtin.client.get("/v1/models")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_a_malformed_answer_is_complete_http_and_broken_json(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "models", "body": "malformed"}])
    answer = builtin.client.get("/v1/models")
    assert answer.text.startswith('{"models":[')
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter|control"):
        answer.json()


def test_a_truncated_answer_breaks_off_on_the_wire(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "models", "body": "truncated"}])
    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without"):
        builtin.client.get("/v1/models")


def test_an_empty_answer_has_no_body(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "models", "body": "empty"}])
    answer = builtin.client.get("/v1/models")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_wrong_shape_is_json_without_models(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "models", "body": "wrong_shape"}])
    assert "models" not in builtin.client.get("/v1/models").json()


def test_a_dropped_connection_gives_no_answer(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "meta", "drop": True, "times": 1}])
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        builtin.client.get("/v1/meta")
    assert statuses(builtin, 1) == [200]


def test_a_drop_closes_only_the_callers_own_connection(builtin: RunningSandbox) -> None:
    with client_with(builtin, API_KEY) as bystander:
        bystander.get("/v1/meta")
        builtin.faults(fail=[{"match": "models", "drop": True}])
        with pytest.raises(httpx.RemoteProtocolError):
            builtin.client.get("/v1/models")
        (connection,) = bystander._transport._pool.connections
        assert bystander.get("/v1/meta").status_code == 200
        assert bystander._transport._pool.connections == [connection]


def test_the_log_says_what_was_done_to_a_call(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": "meta", "drop": True, "times": 1}])
    with pytest.raises(httpx.RemoteProtocolError):
        builtin.client.get("/v1/meta")
    assert builtin.requests() == [
        {
            "method": "GET",
            "path": "/v1/meta",
            "query": "",
            "had_key": False,
            "key_id": "",
            "status": None,
            "fault": "drop",
        }
    ]


def test_an_error_rate_fails_about_that_share(builtin: RunningSandbox) -> None:
    builtin.faults(error_rate=0.5, error_status=502)
    counted = Counter(statuses(builtin, 200))
    assert counted.keys() == {200, 502}
    assert 60 < counted[502] < 140


def test_an_error_rate_fails_the_same_calls_after_a_reset(builtin: RunningSandbox) -> None:
    builtin.faults(error_rate=0.3)
    before = statuses(builtin, 30)
    builtin.reset()
    builtin.faults(error_rate=0.3)
    assert statuses(builtin, 30) == before


def test_a_rate_limit_refuses_and_says_how_long_to_wait(builtin: RunningSandbox) -> None:
    builtin.faults(rate_limit={"requests": 2, "per_seconds": 30})
    assert statuses(builtin, 2) == [200, 200]
    answer = builtin.client.get("/v1/meta")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 30


def test_each_key_has_its_own_rate_limit(builtin: RunningSandbox) -> None:
    builtin.faults(rate_limit={"requests": 1, "per_seconds": 30})
    assert statuses(builtin, 2) == [200, 429]
    with client_with(builtin, API_KEY) as client:
        assert client.get("/v1/meta").status_code == 200


def test_a_rate_limit_lets_calls_pass_again_when_the_window_is_over(builtin: RunningSandbox) -> None:
    builtin.faults(rate_limit={"requests": 1, "per_seconds": 0.2})
    assert statuses(builtin, 2) == [200, 429]
    deadline = time.monotonic() + 10
    while builtin.client.get("/v1/meta").status_code != 200:
        assert time.monotonic() < deadline, "the limit never lets go"
        time.sleep(0.05)


def test_latency_holds_every_call_up(builtin: RunningSandbox) -> None:
    builtin.faults(latency_ms=120)
    for path in ("/v1/meta", "/api/models", "/models/fal-ai/flux/dev/llms.txt"):
        assert builtin.client.get(path).elapsed.total_seconds() >= 0.12


def test_the_latency_of_the_command_line_survives_a_reset() -> None:
    with running_sandbox(latency_ms=80) as sandbox:
        sandbox.faults(latency_ms=0)
        assert sandbox.state()["latency_ms"] == 0
        sandbox.reset()
        assert sandbox.client.get("/v1/meta").elapsed.total_seconds() >= 0.08


def test_a_page_can_repeat_the_one_before(builtin: RunningSandbox) -> None:
    builtin.faults(repeat_page=2)
    first, second, third, *_ = pages(builtin)
    assert ids(second) == ids(first)
    assert ids(third) != ids(first)
    assert second["next_cursor"] != first["next_cursor"]


def test_a_cursor_can_loop(builtin: RunningSandbox) -> None:
    builtin.faults(loop_cursor=2)
    read = pages(builtin, most=6)
    assert len(read) == 6
    assert [page["next_cursor"] for page in read[1:]] == ["Mg"] * 5


@pytest.mark.parametrize(("kind", "sizes"), [("empty", [0, 0]), ("new", [100, 100])])
def test_a_listing_can_go_on_for_ever(builtin: RunningSandbox, kind: str, sizes: list[int]) -> None:
    real = len(pages(builtin))
    builtin.faults(never_ending=kind)
    read = pages(builtin, most=real + 2)
    assert len(read) == real + 2
    assert [len(page["models"]) for page in read[real:]] == sizes
    assert all(page["has_more"] for page in read)
    assert len({page["next_cursor"] for page in read}) == real + 2


def test_an_endless_listing_can_repeat_its_last_page(builtin: RunningSandbox) -> None:
    real = len(pages(builtin))
    builtin.faults(never_ending=True)
    read = pages(builtin, most=real + 2)
    assert ids(read[real]) == ids(read[real - 1]) == ids(read[real + 1])


def test_ids_can_be_listed_twice(builtin: RunningSandbox) -> None:
    builtin.faults(duplicate_ids=["fal-ai/flux/dev"])
    counted = Counter(one for page in pages(builtin) for one in ids(page))
    assert [one for one, count in counted.items() if count > 1] == ["fal-ai/flux/dev"]


def test_metadata_can_be_missing(builtin: RunningSandbox) -> None:
    builtin.faults(missing_metadata=3)
    bare = [model for page in pages(builtin) for model in page["models"] if "metadata" not in model]
    assert len(bare) == 3


def test_listing_faults_leave_the_finding_of_models_alone(builtin: RunningSandbox) -> None:
    builtin.faults(missing_metadata=["fal-ai/flux/dev"], duplicate_ids=["fal-ai/flux/dev"], never_ending=True)
    answer = builtin.client.get("/v1/models", params={"endpoint_id": "fal-ai/flux/dev"}).json()
    assert ids(answer) == ["fal-ai/flux/dev"]
    assert answer["next_cursor"] is None


def test_expansions_can_fail(builtin: RunningSandbox) -> None:
    builtin.faults(expansion_errors=["fal-ai/flux/dev"])
    params = {"endpoint_id": ["fal-ai/flux/dev", "fal-ai/flux/schnell"], "expand": "openapi-3.0"}
    broken, sound = builtin.client.get("/v1/models", params=params).json()["models"]
    assert broken["openapi"] == {
        "error": {"code": "expansion_failed", "message": "Failed to fetch OpenAPI schema"},
    }
    assert sound["openapi"]["openapi"] == "3.0.4"


def test_switches_that_are_not_named_stay(builtin: RunningSandbox) -> None:
    builtin.faults(latency_ms=1)
    shown = builtin.faults(loop_cursor=3)
    assert (shown["latency_ms"], shown["loop_cursor"]) == (1, 3)


def test_all_faults_are_switched_off_at_once(builtin: RunningSandbox) -> None:
    harmless = builtin.state()["faults"]
    builtin.faults(fail=[{"match": "."}], error_rate=1, never_ending=True, rate_limit={"requests": 0, "per_seconds": 9})
    builtin.clear_faults()
    assert builtin.state()["faults"] == harmless
    assert statuses(builtin, 1) == [200]


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"latency": 5}, "Unknown fault latency"),
        ({"latency_ms": -5}, "latency_ms must be"),
        ({"fail": {"match": "."}}, "fail must be a list"),
        ({"fail": [{"match": "("}]}, "no regular expression"),
        ({"fail": [{"body": "soup"}]}, "body must be one of"),
        ({"fail": [{"path": "."}]}, "A fail rule is an object"),
        ({"rate_limit": 5}, "rate_limit must be an object"),
        ({"never_ending": "often"}, "never_ending must be"),
        ({"expansion_errors": "fal-ai/flux/dev"}, "must be a list of endpoint ids"),
    ],
)
def test_a_fault_that_is_not_understood_is_refused_with_the_reason(
    builtin: RunningSandbox, switches: dict[str, Any], words: str
) -> None:
    answer = builtin.client.post("/_sandbox/faults", json={"loop_cursor": 2} | switches)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert builtin.state()["faults"]["loop_cursor"] is None
