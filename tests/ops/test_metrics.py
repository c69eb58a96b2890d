"""`/metrics`: requests by route, and the state of the catalog, for Prometheus alone."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client as HttpClient

from catalog.models import SyncRun
from genfeed.journal.alerts import raise_alert, resolve
from tests.factories import make_model, make_provider, publish_now

pytestmark = pytest.mark.django_db


def scrape(client: HttpClient | None = None, **options: Any) -> HttpResponse:
    return (client or HttpClient()).get("/metrics", **options)


def value(name: str, **labels: str) -> float:
    """The value of one sample, 0 where it is not there."""
    for line in scrape().content.decode().splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name and dict(re.findall(r'(\w+)="(.*?)"', found[2] or "")) == labels:
            return float(found[3])
    return 0.0


@pytest.mark.once
def test_this_machine_may_scrape_without_a_token() -> None:
    HttpClient().get("/healthz")
    answer = scrape()

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE genfeed_http_requests_total counter" in answer.content


@pytest.mark.once
@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.2", "203.0.113.9", "2001:db8::1", ""])
def test_other_machines_may_not(address: str) -> None:
    answer = scrape(REMOTE_ADDR=address)

    assert answer.status_code == 403
    assert b"genfeed_" not in answer.content
    assert b"METRICS_TOKEN" in answer.content


@pytest.mark.once
def test_this_machine_has_two_addresses() -> None:
    assert scrape(REMOTE_ADDR="::1").status_code == 200


@pytest.mark.once
@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via"]
)
def test_what_comes_through_a_proxy_on_this_machine_may_not(header: str) -> None:
    answer = scrape(headers={header: "127.0.0.1"})

    assert answer.status_code == 403
    assert b"genfeed_" not in answer.content


@pytest.mark.once
def test_with_a_token_its_holder_may_scrape_from_anywhere(settings: Any) -> None:
    settings.METRICS_TOKEN = "a token"

    answer = scrape(
        headers={"Authorization": "Bearer a token", "X-Forwarded-For": "203.0.113.9"}, REMOTE_ADDR="10.0.0.5"
    )

    assert answer.status_code == 200


@pytest.mark.once
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer a toke"}, {"Authorization": "Bearer ä"}])
def test_with_a_token_nobody_else_may_not_even_from_this_machine(settings: Any, headers: dict[str, str]) -> None:
    settings.METRICS_TOKEN = "a token"

    answer = scrape(headers=headers)

    assert answer.status_code == 403
    assert b"a token" not in answer.content


def test_requests_are_counted_by_method_pattern_and_status(api: HttpClient) -> None:
    labels = {"method": "GET", "route": "api/v1/models/<path:model_id>", "status": "404"}
    before = value("genfeed_http_requests_total", **labels)

    api.get("/api/v1/models/fal-ai/one")
    api.get("/api/v1/models/fal-ai/another")

    assert value("genfeed_http_requests_total", **labels) == before + 2


def test_no_id_and_no_query_becomes_a_label(api: HttpClient) -> None:
    api.get("/api/v1/models/fal-ai/a-very-special-id?q=a-very-special-query")
    api.get("/no-such-page/a-very-special-path")

    assert b"a-very-special" not in scrape().content


def test_an_address_that_matches_nothing_is_one_series() -> None:
    labels = {"method": "GET", "route": "(none)", "status": "404"}
    before = value("genfeed_http_requests_total", **labels)

    HttpClient().get("/wp-login.php")
    HttpClient().get("/.env")

    assert value("genfeed_http_requests_total", **labels) == before + 2


def test_made_up_methods_are_one_series(api: HttpClient) -> None:
    api.generic("BREW", "/api/v1/models")
    api.generic("WHEN", "/api/v1/models")

    exposed = scrape().content.decode()
    assert "BREW" not in exposed
    assert value("genfeed_http_requests_total", method="other", route="api/v1/models", status="405") >= 2


def test_the_time_of_a_request_is_observed(api: HttpClient) -> None:
    before = value("genfeed_http_request_seconds_count", route="api/v1/models")

    api.get("/api/v1/models")

    assert value("genfeed_http_request_seconds_count", route="api/v1/models") == before + 1


def test_models_are_counted_by_provider_status_and_whether_they_are_enabled() -> None:
    make_model("a/1")
    make_model("a/2")
    make_model("a/3", switch="off")
    make_model("a/4", status="retired")
    make_model("a/5", provider="replicate")

    def models(provider: str, status: str, enabled: str) -> float:
        return value("genfeed_catalog_models", provider=provider, status=status, enabled=enabled)

    assert models("fal", "active", "true") == 2
    assert models("fal", "active", "false") == 1
    assert models("fal", "retired", "false") == 1
    assert models("replicate", "active", "true") == 1


def test_the_last_good_sync_is_told_as_a_time() -> None:
    for status, day in (("succeeded", 1), ("succeeded", 2), ("failed", 3)):
        at = datetime(2026, 11, day, tzinfo=UTC)
        SyncRun.objects.create(provider=make_provider(), status=status, trigger="schedule", finished_at=at)

    last = value("genfeed_last_successful_sync_timestamp_seconds", provider="fal")
    assert last == datetime(2026, 11, 2, tzinfo=UTC).timestamp()
    assert value("genfeed_sync_runs", provider="fal", status="succeeded") == 2
    assert value("genfeed_sync_runs", provider="fal", status="failed") == 1


def test_revision_and_open_alerts_are_told() -> None:
    number = publish_now()
    raise_alert("sync_failed", "fal", "a")
    raise_alert("sync_failed", "replicate", "b")
    resolve("sync_failed", "fal")

    assert value("genfeed_catalog_revision") == number
    assert value("genfeed_open_alerts") == 1


def test_an_empty_installation_can_be_scraped() -> None:
    assert scrape().status_code == 200
    assert b"genfeed_catalog_revision 0.0" in scrape().content
