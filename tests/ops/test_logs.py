"""Log lines: JSON that machines read, findable by request id, and silent about secrets."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from logging.config import DictConfigurator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client as HttpClient

from catalog import listing
from genfeed.journal.request_ids import RequestIdFilter
from tests.factories import make_model, publish_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]

REQUEST_ID = "req-of-this-test"


class Lines:
    """What a process that logs JSON at level DEBUG would have written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, logger: str) -> list[dict[str, Any]]:
        return [line for line in self.all() if line["logger"] == logger]


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    handler = logging.StreamHandler(lines.stream)
    formats = django_settings.LOGGING["formatters"]
    handler.setFormatter(DictConfigurator({"version": 1}).configure_formatter(dict(formats["json"])))
    handler.addFilter(RequestIdFilter())
    root, django = logging.getLogger(), logging.getLogger("django")
    levels = root.level, django.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    django.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(levels[0])
    django.setLevel(levels[1])


def test_a_request_is_one_line_of_json(api: HttpClient, lines: Lines) -> None:
    api.get("/api/v1/models", headers={"X-Request-Id": REQUEST_ID})

    (line,) = lines.of("genfeed.requests")
    assert line.pop("time")
    assert line.pop("ms") >= 0
    assert line == {
        "level": "INFO",
        "logger": "genfeed.requests",
        "message": "request",
        "request_id": REQUEST_ID,
        "method": "GET",
        "path": "/api/v1/models",
        "status": 200,
        "caller": "API key default of Acme",
    }


def test_a_caller_without_credentials_has_no_name(lines: Lines) -> None:
    HttpClient().get("/api/v1/models")

    (line,) = lines.of("genfeed.requests")
    assert (line["status"], line["caller"]) == (401, None)


def test_every_line_of_a_request_carries_its_id(api: HttpClient, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "page", lambda *_, **__: 1 / 0)

    api.get("/api/v1/models", headers={"X-Request-Id": REQUEST_ID})

    assert {"genfeed.api", "django.request", "genfeed.requests"} <= {line["logger"] for line in lines.all()}
    assert {line["request_id"] for line in lines.all()} == {REQUEST_ID}


def test_a_crash_is_one_line_with_its_traceback(api: HttpClient, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "page", lambda *_, **__: 1 / 0)

    api.get("/api/v1/models")

    (line,) = lines.of("genfeed.api")
    assert line["level"] == "ERROR"
    assert "ZeroDivisionError" in line["exc_info"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/static/genfeed/icon.svg"])
def test_what_machines_ask_all_the_time_is_not_logged(lines: Lines, path: str) -> None:
    answer = HttpClient().get(path)
    answer.close()

    assert answer.status_code == 200
    assert lines.of("genfeed.requests") == []


SECRET_WORDS = "a-very-private-prompt"


@pytest.fixture
def busy(make_key: Callable[..., str], lines: Lines, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Requests of all outcomes, each with secrets wherever one can be put; returns what must not be logged."""
    make_model()
    publish_now()
    key, admin_key = make_key(), make_key("admin", client="Operator")
    wrong = "gf_wrong-but-perhaps-only-mistyped"
    query = f"?q={SECRET_WORDS}&api_key={key}"
    client = HttpClient(raise_request_exception=False)

    def headers(text: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {text}"}

    statuses = [
        client.get(f"/api/v1/models?q={SECRET_WORDS}", headers=headers(key)).status_code,
        client.get("/api/v1/models", headers={"X-API-Key": key}).status_code,
        client.get(f"/api/v1/models{query}", headers=headers(key)).status_code,
        client.get(f"/api/v1/models{query}", headers=headers(wrong)).status_code,
        client.get(f"/api/v1/admin/models{query}", headers=headers(key)).status_code,
        client.get(f"/api/v1/nothing{query}", headers=headers(key)).status_code,
        client.delete(f"/api/v1/models{query}", headers=headers(key)).status_code,
        client.get(f"/api/v1/models{query}", headers=headers(key) | {"Host": "evil.example"}).status_code,
        client.get(f"/admin/{query}", headers=headers(key)).status_code,
        client.post(
            f"/api/v1/admin/models/bulk-toggle{query}", f'{{"ids": ["{SECRET_WORDS}"',
            content_type="application/json", headers=headers(admin_key),
        ).status_code,
    ]  # fmt: skip
    monkeypatch.setattr(listing, "page", lambda *_, **__: 1 / 0)
    statuses.append(client.get(f"/api/v1/models?q={SECRET_WORDS}", headers=headers(key)).status_code)
    assert statuses == [200, 200, 400, 401, 403, 404, 405, 400, 302, 400, 500]
    return [key, admin_key, wrong]


def test_no_api_key_is_ever_in_a_log_line(lines: Lines, busy: list[str]) -> None:
    assert len(lines.of("genfeed.requests")) == 11
    for text in busy:
        assert text not in lines.text
        assert text[9:] not in lines.text


def test_no_query_string_is_ever_in_a_log_line(lines: Lines, busy: list[str]) -> None:
    assert SECRET_WORDS not in lines.text
    assert "?q=" not in lines.text


def test_no_secret_of_the_installation_is_ever_in_a_log_line(lines: Lines, busy: list[str]) -> None:
    assert django_settings.FAL_KEY not in lines.text
    assert django_settings.SECRET_KEY not in lines.text


def test_a_line_break_in_a_path_makes_no_second_line(lines: Lines) -> None:
    HttpClient().get("/api/v1/nothing%0A%7B%22level%22:%22forged%22%7D")

    assert all(line["level"] != "forged" for line in lines.all())
    assert lines.of("genfeed.requests")[0]["path"].startswith("/api/v1/nothing\n")
