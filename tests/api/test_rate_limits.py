"""What callers are told of their limits: headers on every answer of a key, and refusals."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client as HttpClient

from genfeed.clients.keys import find_caller
from genfeed.clients.limits import telling
from genfeed.clients.limits.jobs import limit_jobs
from genfeed.clients.models import RateBucket
from tests.factories import make_model, publish_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]
MODELS = "/api/v1/models"

# RFC 9651, as far as these two fields use it: a list of strings with parameters that are integers.
_MEMBER = re.compile(r' *"((?:[ !#-\[\]-~]|\\["\\])*)"((?:; *[a-z*][a-z0-9_.*-]*=-?\d{1,15})*) *(?:,|$)')


def parsed(field: str) -> dict[str, dict[str, int]]:
    """The members of a structured field by name; fails on what is none."""
    members, position = {}, 0
    while position < len(field):
        found = _MEMBER.match(field, position)
        assert found, f"{field!r} is no list of strings with integers"
        pairs = (pair.strip().split("=") for pair in found[2].split(";")[1:])
        members[found[1]] = {name: int(value) for name, value in pairs}
        position = found.end()
    assert not field.rstrip().endswith(",")
    return members


def limits(answer: HttpResponse) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    return parsed(answer.headers["RateLimit-Policy"]), parsed(answer.headers["RateLimit"])


def test_every_answer_names_the_limit_and_what_is_left(api: HttpClient) -> None:
    policy, left = limits(api.get(MODELS))

    assert policy == {"reads": {"q": 6000, "w": 60}}
    assert left == {"reads": {"r": 5999, "t": 1}}
    assert limits(api.get(MODELS))[1]["reads"]["r"] == 5998


def test_an_answer_that_nothing_changed_does_too(api: HttpClient) -> None:
    make_model()
    publish_now()
    etag = api.get(MODELS).headers["ETag"]

    answer = api.get(MODELS, headers={"If-None-Match": etag})

    assert answer.status_code == 304
    assert limits(answer)[1]["reads"]["r"] == 5998


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/models/no/such", 404), ("/api/v1/models?limit=x", 400), ("/api/v1/admin/models", 403)],
)
def test_so_do_errors(api: HttpClient, path: str, status: int) -> None:
    answer = api.get(path)

    assert answer.status_code == status
    assert limits(answer)[0] == {"reads": {"q": 6000, "w": 60}}


def test_beyond_the_limit_the_answer_is_429_with_the_wait(api: HttpClient, settings: Any) -> None:
    settings.READS_PER_MINUTE = 2
    assert [api.get(MODELS).status_code for _ in range(2)] == [200, 200]

    answer = api.get(MODELS)

    body = answer.json()
    assert (answer.status_code, body["code"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) == body["retry_after"] in range(15, 31)
    assert limits(answer)[1] == {"reads": {"r": 0, "t": body["retry_after"]}}


def test_the_jobs_that_are_left_are_told_beside_the_reads(make_key: Callable[..., str]) -> None:
    caller = find_caller(make_key("jobs:write"))
    assert caller
    telling.begin()
    with transaction.atomic():
        limit_jobs(caller)
    answer = HttpResponse()

    telling.write_headers(answer)

    assert limits(answer) == ({"jobs": {"q": 60, "w": 60}}, {"jobs": {"r": 59, "t": 1}})


def test_requests_without_a_key_are_told_nothing(api: HttpClient) -> None:
    api.get(MODELS)

    assert "RateLimit" not in HttpClient().get(MODELS).headers
    assert "RateLimit" not in HttpClient().get("/healthz").headers


def test_staff_are_not_limited(staff: Callable[[str], HttpClient], settings: Any) -> None:
    settings.READS_PER_MINUTE = 0
    client = staff("viewer")

    answers = [client.get(MODELS) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "RateLimit" not in answers[0].headers
    assert not RateBucket.objects.exists()


def refusals() -> float:
    found = re.search(
        r'genfeed_refusals_total\{code="rate_limited",limit="reads"\} (\S+)',
        HttpClient().get("/metrics").content.decode(),
    )
    return float(found[1]) if found else 0.0


def test_refusals_are_counted_for_prometheus(api: HttpClient, settings: Any) -> None:
    settings.READS_PER_MINUTE = 1
    before = refusals()

    for _ in range(3):
        api.get(MODELS)

    assert refusals() == before + 2
