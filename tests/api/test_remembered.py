"""Lists that are asked for again: answered without Django, and in nothing else than Django would."""

import logging
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from catalog import published, upstreams
from genfeed import remembered
from genfeed.clients import keys, uses
from genfeed.clients.keys import create_key, revoke_key
from genfeed.clients.limits import reads
from genfeed.clients.models import ApiKey, Client
from genfeed.front.serving import ADDRESS
from genfeed.journal.audit import SYSTEM
from tests.factories import make_model, make_models, publish_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]

LIST = "/api/v1/models?limit=3"
# Its own in every answer.
OWN = {"x-request-id", "ratelimit"}


class Caller:
    """Asks as the front does: first the memory, then Django with the address that the memory gave."""

    def __init__(self, client: Client, scopes: list[str] | None = None) -> None:
        self.key, self.text = create_key(client, actor=SYSTEM, scopes=scopes or ["models:read"])
        self.was_remembered = False

    def get(self, address: str = LIST, **headers: str) -> tuple[int, dict[str, str], bytes]:
        path, _, query = address.partition("?")
        sent = {"host": "testserver", "authorization": f"Bearer {self.text}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": query.encode(), "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }  # fmt: skip
        known, kept_under = remembered.ahead(scope)
        self.was_remembered = known is not None
        if known is not None:
            return known[0], {name.decode(): value.decode() for name, value in known[1]}, known[2]
        answer = HttpClient().get(address, headers=sent, **{ADDRESS: kept_under})  # type: ignore[arg-type]
        return answer.status_code, {name.lower(): value for name, value in answer.items()}, answer.content


@pytest.fixture(autouse=True)
def _no_second_passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process asks the database for once a second or two, it asks for once."""
    for module, name in (
        (published, "CHECK_EVERY_SECONDS"),
        (upstreams, "_REMEMBERED_SECONDS"),
        (keys, "CACHE_SECONDS"),
        (reads, "_LEASE_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 3600.0)
    remembered.forget()
    yield
    remembered.forget()


@pytest.fixture
def customer() -> Client:
    make_models(5)
    publish_now()
    return Client.objects.create(name="Asking", reads_per_minute=60_000)


@pytest.mark.parametrize("address", [LIST, "/api/v1/models", "/api/v1/models/fal"])
def test_a_repeated_answer_is_the_same_but_for_what_is_its_own(customer: Client, address: str) -> None:
    caller = Caller(customer)
    status, headers, body = caller.get(address)
    with CaptureQueriesContext(connection) as queries:
        again = caller.get(address)
    assert caller.was_remembered
    assert not queries.captured_queries
    assert (again[0], again[2]) == (status, body)
    differing = {name for name in {*headers, *again[1]} if headers.get(name) != again[1].get(name)}
    assert differing == OWN


def test_what_the_caller_has_already_is_304_again(customer: Client) -> None:
    caller = Caller(customer)
    etag = caller.get()[1]["etag"]
    caller.get(if_none_match=etag)
    status, headers, body = caller.get(if_none_match=etag)
    assert caller.was_remembered
    assert (status, headers["etag"], body) == (304, etag, b"")


def test_every_repeated_answer_is_limited_counted_and_logged(
    customer: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caller = Caller(customer)
    left = []
    with caplog.at_level(logging.INFO, "genfeed.requests"):
        for number in range(3):
            headers = caller.get(x_request_id=f"mine-0000{number}")[1]
            assert headers["x-request-id"] == f"mine-0000{number}"
            left.append(int(headers["ratelimit"].split("r=")[1].split(";")[0]))
    assert left == [left[0], left[0] - 1, left[0] - 2]
    lines = [record for record in caplog.records if record.name == "genfeed.requests"]
    assert [(line.path, line.status) for line in lines] == [("/api/v1/models", 200)] * 3  # type: ignore[attr-defined]
    uses.flush()
    assert ApiKey.objects.get(pk=caller.key.pk).uses == 3


def test_a_new_revision_is_seen(customer: Client) -> None:
    caller = Caller(customer)
    caller.get("/api/v1/models")
    make_model("fal-ai/aaa-new")
    publish_now()
    body = caller.get("/api/v1/models")[2]
    assert not caller.was_remembered
    assert b"fal-ai/aaa-new" in body


def test_a_revoked_key_is_refused(customer: Client) -> None:
    caller = Caller(customer)
    caller.get()
    revoke_key(caller.key, actor=SYSTEM)
    assert caller.get()[0] == 401


def test_one_request_too_many_is_refused(customer: Client) -> None:
    Client.objects.update(reads_per_minute=3)
    caller = Caller(customer)
    assert [caller.get()[0] for _ in range(4)] == [200, 200, 200, 429]


def test_a_key_that_changed_is_asked_about_anew(customer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = Caller(customer)
    caller.get()
    ApiKey.objects.filter(pk=caller.key.pk).update(denied_models=["fal:*"])
    keys.forget(caller.key)
    body = caller.get()[2]
    assert not caller.was_remembered
    assert b'"items":[]' in body


def test_what_a_key_saw_before_it_was_narrowed_is_not_given_again_by_whoever_knows_it_anew(customer: Client) -> None:
    caller = Caller(customer)
    caller.get()
    ApiKey.objects.filter(pk=caller.key.pk).update(denied_models=["fal:*"])
    keys.forget(caller.key)
    # Another address: this process knows the key as it is now.
    caller.get("/api/v1/models?limit=2")
    body = caller.get()[2]
    assert not caller.was_remembered
    assert b'"items":[]' in body


def test_nothing_is_told_to_another_key(customer: Client) -> None:
    one, other = Caller(customer), Caller(customer, ["jobs:read"])
    one.get()
    status, _, body = other.get()
    assert status == 403
    assert b"forbidden_scope" in body


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        (LIST, {"cookie": "sessionid=x"}),
        (LIST, {"origin": "https://elsewhere.example"}),
        (LIST, {"host": "elsewhere.example"}),
        ("/api/v1/models?limit=4", {}),
        ("/api/v1/models?limit=3&q=made", {}),
    ],
)
def test_whatever_else_may_change_an_answer_is_left_to_django(
    customer: Client, address: str, headers: dict[str, str]
) -> None:
    caller = Caller(customer)
    caller.get()
    caller.get(address, **headers)
    assert not caller.was_remembered


def test_free_text_is_never_remembered(customer: Client) -> None:
    caller = Caller(customer)
    for _ in range(2):
        caller.get("/api/v1/models?q=made")
        assert not caller.was_remembered


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (published, "CHECK_EVERY_SECONDS"),
        (upstreams, "_REMEMBERED_SECONDS"),
        (keys, "CACHE_SECONDS"),
        (reads, "_LEASE_SECONDS"),
    ],
)
def test_what_must_be_asked_of_the_database_is_left_to_django(
    customer: Client, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    caller = Caller(customer)
    caller.get()
    monkeypatch.setattr(module, name, 0.0)
    caller.get()
    assert not caller.was_remembered
