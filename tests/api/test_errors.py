"""Every error under /api/ has one shape, whatever went wrong, and tells what to do."""

import re
from typing import Any

import orjson
import pytest
from django.http import HttpResponse
from django.test import Client as HttpClient

from catalog import listing
from genfeed.clients.errors import CODES, ApiError, error_response
from tests.factories import make_model, publish_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]

MADE_ID = re.compile(r"req_[0-9a-f]{24}")
DESIGNED_CODES = """
invalid_request invalid_input unknown_field model_not_found model_ambiguous model_disabled model_unpriced
model_retired unauthorized forbidden_scope not_found conflict idempotency_key_reused idempotency_in_progress
insufficient_funds budget_exceeded price_above_max rate_limited too_many_in_flight queue_full payload_too_large
unsupported_media provider_unavailable provider_error provider_rejected_input content_refused timeout
queue_timeout submit_unknown offline not_configured internal_error"""
BULK = "/api/v1/admin/models/bulk-toggle"


def assert_error(answer: HttpResponse, status: int, code: str, *, details: bool = False) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    body = orjson.loads(answer.content)
    assert list(body) == ["code", "message", "hint", "requestId", *(["details"] if details else [])]
    assert body["code"] == code
    assert body["message"].endswith(".")
    assert body["hint"].endswith((".", "?"))
    assert body["requestId"] == answer.headers["X-Request-Id"]
    return body


@pytest.fixture(params=[False, True], ids=["debug off", "debug on"])
def debug(request: pytest.FixtureRequest, settings: Any) -> bool:
    settings.DEBUG = request.param
    return bool(request.param)


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v1/nothing", "/api/v2/models", "/api/v1/models/"])
def test_an_unknown_route_is_a_json_404(admin_api: HttpClient, debug: bool, path: str) -> None:
    assert_error(admin_api.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/models", "GET"),
        ("PUT", "/api/v1/models/fal-ai/flux/dev", "GET"),
        ("GET", BULK, "POST"),
        ("PATCH", "/api/v1/admin/sync", "GET, POST"),
    ],
)
def test_a_wrong_method_is_a_json_405_that_names_the_right_ones(
    admin_api: HttpClient, debug: bool, method: str, path: str, allowed: str
) -> None:
    answer = admin_api.generic(method, path)

    body = assert_error(answer, 405, "invalid_request")
    assert sorted(answer.headers["Allow"].split(", ")) == allowed.split(", ")
    assert body["hint"] == "The Allow header names those that are."


def crash(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError("a secret that only the log may tell")


def test_a_crash_in_a_view_is_a_json_500_without_details(
    admin_api: HttpClient, debug: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "page", crash)

    answer = admin_api.get("/api/v1/models")

    body = assert_error(answer, 500, "internal_error")
    assert "requestId" in body["hint"]
    assert b"secret" not in answer.content
    assert b"ZeroDivisionError" not in answer.content


def test_a_crash_in_a_view_is_logged_with_its_traceback(
    admin_api: HttpClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listing, "page", crash)

    admin_api.get("/api/v1/models")

    record = next(record for record in caplog.records if record.name == "genfeed.api")
    assert record.getMessage() == "unhandled error in GET /api/v1/models"
    assert "a secret that only the log may tell" in str(record.exc_info)


def test_a_crash_outside_of_all_views_is_a_json_500(
    admin_api: HttpClient, debug: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin_api.raise_request_exception = False
    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", crash)

    answer = admin_api.get("/api/v1/models")

    assert_error(answer, 500, "internal_error")
    assert b"secret" not in answer.content


def test_a_crash_elsewhere_stays_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    client = HttpClient(raise_request_exception=False)
    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", crash)

    answer = client.get("/admin/")

    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "text/html; charset=utf-8")


def test_an_unknown_host_is_a_json_400(api: HttpClient, debug: bool) -> None:
    assert_error(api.get("/api/v1/models", headers={"Host": "evil.example"}), 400, "invalid_request")


def test_wrong_parameters_are_all_named(api: HttpClient) -> None:
    body = assert_error(api.get("/api/v1/models?limit=0&sort=colour"), 400, "invalid_request", details=True)

    assert {problem["path"] for problem in body["details"]["problems"]} == {"limit", "sort"}
    assert body["message"].startswith("sort: ")
    assert body["hint"] == "Correct the parameters named in details."


def test_wrong_fields_of_a_body_are_all_named(admin_api: HttpClient) -> None:
    answer = admin_api.post(BULK, {"ids": [], "enabld": True}, content_type="application/json")

    body = assert_error(answer, 400, "invalid_request", details=True)
    assert {problem["path"] for problem in body["details"]["problems"]} == {"ids", "enabled", "enabld"}


def test_a_wrong_item_of_a_list_is_named_with_its_place(admin_api: HttpClient) -> None:
    answer = admin_api.post(BULK, {"ids": ["a", 5], "enabled": True}, content_type="application/json")

    body = assert_error(answer, 400, "invalid_request", details=True)
    assert body["details"]["problems"] == [{"path": "ids.1", "message": "is no text"}]
    assert (body["message"], body["hint"]) == ("ids.1: is no text.", "Send a text, in quotes.")


@pytest.mark.parametrize("content", [b'{"ids": [', b"\xff\xfe", b"NaN", b'{"ids": ["\\ud800"], "enabled": true}'])
def test_a_body_that_is_no_json_is_a_400(admin_api: HttpClient, content: bytes) -> None:
    answer = admin_api.generic("POST", BULK, content, content_type="application/json")

    body = assert_error(answer, 400, "invalid_request")
    assert body["message"].startswith("The body is no valid JSON: ")
    assert "NaN" in body["hint"]


@pytest.mark.parametrize("content", [b"[1]", b"null", b'"text"', b"5"])
def test_a_body_that_is_no_object_is_a_400(admin_api: HttpClient, content: bytes) -> None:
    answer = admin_api.generic("POST", BULK, content, content_type="application/json")

    assert_error(answer, 400, "invalid_request", details=True)


def test_a_missing_body_is_a_400(admin_api: HttpClient) -> None:
    assert_error(admin_api.generic("POST", BULK), 400, "invalid_request", details=True)


def test_a_form_instead_of_json_is_a_400(admin_api: HttpClient, staff: Any) -> None:
    assert_error(admin_api.post(BULK, {"ids": "a"}), 400, "invalid_request")
    strict = HttpClient(enforce_csrf_checks=True)
    strict.cookies = staff("superuser").cookies
    token = strict.get("/admin/password_change/").cookies["csrftoken"].value
    # To look for the token, Django reads the form before the API reads the body.
    answer = strict.post(BULK, {"ids": "a", "csrfmiddlewaretoken": token})
    assert_error(answer, 400, "invalid_request")


def test_a_body_that_is_too_large_is_a_413(admin_api: HttpClient) -> None:
    content = b'{"ids": ["' + b"x" * 11_000_000 + b'"], "enabled": true}'

    assert_error(admin_api.generic("POST", BULK, content, content_type="application/json"), 413, "payload_too_large")


def test_a_nul_in_a_text_is_a_400(admin_api: HttpClient) -> None:
    make_model()
    publish_now()

    answer = admin_api.post(
        "/api/v1/admin/models/fal-ai/flux/dev/toggle", {"reason": "a\0b"}, content_type="application/json"
    )

    body = assert_error(answer, 400, "invalid_request", details=True)
    assert body["details"]["problems"][0]["path"] == "reason"


def test_a_request_id_is_made_and_answered(api: HttpClient) -> None:
    assert MADE_ID.fullmatch(api.get("/api/v1/models").headers["X-Request-Id"])


def test_a_well_formed_request_id_of_the_caller_is_kept(api: HttpClient) -> None:
    answer = api.get("/api/v1/nothing", headers={"X-Request-Id": "order-4711.retry_2"})

    assert answer.headers["X-Request-Id"] == "order-4711.retry_2"
    assert answer.json()["requestId"] == "order-4711.retry_2"


@pytest.mark.parametrize("offered", ["short", "x" * 65, "has space", "<script>alert(1)</script>", 'quote"quote'])
def test_a_malformed_request_id_is_replaced(api: HttpClient, offered: str) -> None:
    answer = api.get("/api/v1/nothing", headers={"X-Request-Id": offered})

    assert MADE_ID.fullmatch(answer.headers["X-Request-Id"])
    assert offered.encode() not in answer.content


def test_two_requests_have_two_ids(api: HttpClient) -> None:
    assert api.get("/api/v1/models").headers["X-Request-Id"] != api.get("/api/v1/models").headers["X-Request-Id"]


def test_pages_outside_of_the_api_carry_a_request_id_too(client: HttpClient) -> None:
    assert MADE_ID.fullmatch(client.get("/healthz").headers["X-Request-Id"])


def test_the_codes_are_a_closed_list_with_one_status_each() -> None:
    assert set(CODES) == set(DESIGNED_CODES.split())
    assert all(400 <= status <= 504 for status in CODES.values())
    with pytest.raises(KeyError):
        ApiError("made_up", "This code does not exist.")


def test_the_length_of_an_error_is_told() -> None:
    answer = error_response(ApiError("not_found", "Nichts gefunden: ü.", "Look elsewhere."))

    assert answer.headers["Content-Length"] == str(len(answer.content))
