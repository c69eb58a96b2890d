"""Every operation of the API by every kind of caller, against the rules in access.toml."""

import tomllib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients import browser_tokens
from genfeed.clients.keys import create_key, find_caller, revoke_key
from genfeed.clients.limits import strangers
from genfeed.clients.models import SCOPES, Client
from genfeed.journal.audit import SYSTEM
from tests.security.addresses import api_path, operations
from tests.security.undone import undone
from tests.security.world import World, make_world

pytestmark = [pytest.mark.django_db, pytest.mark.once]

RULES: dict[str, Any] = tomllib.loads((Path(__file__).parent / "access.toml").read_text())["api"]
ROLES = {"V": "viewer", "C": "catalog manager", "F": "finance", "S": "superuser"}
OPEN = "nobody asks"


@pytest.fixture
def world() -> World:
    return make_world()


def send(http: HttpClient, operation: str, world: World) -> Any:
    """One request, of which nothing is left."""
    method, _, path = operation.partition(" ")
    body = RULES[operation].get("body", "{}")
    headers, content_type = {}, "application/json"
    if "/uploads/resumable" in path:
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Offset": "0"}
        content_type, body = "application/offset+octet-stream", "0123456789"
    with undone():
        return http.generic(method, api_path(path, world), body, content_type=content_type, headers=headers)


def by_key(key: str) -> HttpClient:
    return HttpClient(headers={"Authorization": f"Bearer {key}"})


def code_of(answer: Any) -> str:
    return str(answer.json()["code"]) if answer.content else ""


def differing(world: World, http: HttpClient, expected: Callable[[str, Any], bool], **only: str) -> Iterator[str]:
    """The operations that are answered otherwise than expected, with the answer."""
    for operation in RULES:
        strangers.forget()
        answer = send(http, operation, world)
        if not expected(operation, answer):
            yield f"{operation}: {answer.status_code} {code_of(answer)}"


def is_open(operation: str) -> bool:
    return bool(RULES[operation]["scope"] == OPEN)


def test_every_operation_has_a_rule_and_every_rule_an_operation() -> None:
    assert sorted(RULES) == sorted(f"{method} {path}" for method, path in operations())


def test_every_rule_names_a_scope_that_there_is() -> None:
    assert {rule["scope"] for rule in RULES.values()} - {*SCOPES, OPEN} == set()


def test_without_a_key_nothing_is_answered(world: World) -> None:
    def refused(operation: str, answer: Any) -> bool:
        return is_open(operation) or (answer.status_code == 401 and code_of(answer) in ("unauthorized", ""))

    assert list(differing(world, HttpClient(), refused)) == []


@pytest.mark.parametrize("what", ["unknown", "revoked", "expired", "of an inactive client", "of a page"])
def test_a_key_that_is_none_opens_nothing(world: World, what: str) -> None:
    client = Client.objects.create(name="Gone", is_active=what != "of an inactive client")
    ends = timezone.now() - timedelta(seconds=1) if what == "expired" else None
    row, key = create_key(client, actor=SYSTEM, scopes=["admin"], expires_at=ends)
    if what == "revoked":
        revoke_key(row, actor=SYSTEM)
    if what == "unknown":
        key = key[:-1] + ("a" if key[-1] != "a" else "b")
    if what == "of a page":
        caller = find_caller(world.key)
        assert caller
        key = browser_tokens.make(caller, origin="https://app.example.com", seconds=600)[0]

    def refused(operation: str, answer: Any) -> bool:
        return is_open(operation) or answer.status_code == 401

    assert list(differing(world, by_key(key), refused)) == []


@pytest.mark.parametrize("scope", [*SCOPES, "none at all"])
def test_a_scope_opens_what_needs_it_and_nothing_else(world: World, scope: str) -> None:
    _, key = create_key(world.client, actor=SYSTEM, scopes=[scope] if scope in SCOPES else [])

    def as_ruled(operation: str, answer: Any) -> bool:
        needed = RULES[operation]["scope"]
        lacks = answer.status_code == 403 and (not answer.content or "lacks the scope" in answer.json()["message"])
        return lacks is (not is_open(operation) and scope not in (needed, "admin")) and answer.status_code < 500

    assert list(differing(world, by_key(key), as_ruled)) == []


def test_a_test_key_sees_nothing_of_what_is_live(world: World) -> None:
    _, key = create_key(world.client, actor=SYSTEM, scopes=sorted(set(SCOPES) - {"admin"}), is_test=True)

    def is_strange(operation: str, answer: Any) -> bool:
        # Keys and templates belong to the client itself, whichever of its keys asks.
        is_shared = "/keys/" in operation or "/workflow-templates/" in operation
        return not RULES[operation].get("owned") or is_shared or answer.status_code == 404

    assert list(differing(world, by_key(key), is_strange)) == []


def test_what_another_client_owns_is_not_there(world: World) -> None:
    _, key = create_key(Client.objects.create(name="Stranger"), actor=SYSTEM, scopes=["admin"])

    def is_strange(operation: str, answer: Any) -> bool:
        return not RULES[operation].get("owned") or answer.status_code == 404

    assert list(differing(world, by_key(key), is_strange)) == []


def test_its_owner_finds_what_is_owned(world: World) -> None:
    def is_there(operation: str, answer: Any) -> bool:
        return not RULES[operation].get("owned") or answer.status_code not in (401, 403, 404)

    assert list(differing(world, by_key(world.key), is_there)) == []


def test_everything_that_names_something_of_a_clients_is_ruled_as_owned() -> None:
    of_clients = ("job", "batch", "asset", "endpoint", "delivery", "workflow", "template", "key")
    named = {operation for operation in RULES if any(f"{{{name}_id}}" in operation for name in of_clients)}
    assert {operation for operation, rule in RULES.items() if rule.get("owned")} == named


@pytest.mark.parametrize("letter", [*ROLES, "N", "a user who is no staff"])
def test_a_session_opens_what_its_role_may(world: World, staff: Callable[[str], HttpClient], letter: str) -> None:
    if letter in ROLES:
        http = staff(ROLES[letter])
    else:
        http = HttpClient()
        http.force_login(User.objects.create_user("newcomer", is_staff=letter == "N"))

    def as_ruled(operation: str, answer: Any) -> bool:
        may = is_open(operation) or letter in RULES[operation]["staff"]
        return (answer.status_code not in (401, 403)) is may and answer.status_code < 500

    assert "\n".join(differing(world, http, as_ruled)) == ""


def test_a_session_alone_does_nothing_for_another_sites_form(world: World, staff: Callable[[str], HttpClient]) -> None:
    http = staff("superuser")
    http.handler.enforce_csrf_checks = True

    def is_refused(operation: str, answer: Any) -> bool:
        return operation.startswith(("GET", "HEAD", "OPTIONS")) or answer.status_code == 403

    assert list(differing(world, http, is_refused)) == []
