"""Every other address, against the rules in access.toml: foreign protocols, files, webhooks, pages, probes."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as HttpClient

from genfeed.clients import browser_tokens
from genfeed.clients.keys import create_key, find_caller
from genfeed.clients.limits import strangers
from genfeed.clients.models import SCOPES, Client
from genfeed.front.connections import HANDED_OVER
from genfeed.journal.audit import SYSTEM
from jobs.assets.links import signed_url
from tests.security.addresses import patterns
from tests.security.undone import undone
from tests.security.world import MODEL, World, make_world

pytestmark = [pytest.mark.django_db, pytest.mark.once]

RULES: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parent / "access.toml").read_text())["rest"]
KEYED = {pattern: rule for pattern, rule in RULES.items() if rule["who"] == "key"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def world() -> World:
    return make_world()


def send(http: HttpClient, method: str, path: str, world: World) -> Any:
    """One request, of which nothing is left."""
    for name, value in {"<job>": world.ids["job_id"], "<asset>": world.ids["asset_id"], "<model>": MODEL}.items():
        path = path.replace(name, str(value))
    # As the front does: without it nothing is accepted that has to wait.
    with undone():
        return http.generic(method, path, "{}", content_type="application/json", **{HANDED_OVER: None})


def asked(http: HttpClient, world: World) -> dict[str, int]:
    """What everything that needs a key answers, by method and address."""
    told = {}
    for rule in KEYED.values():
        for method in rule["methods"]:
            strangers.forget()
            told[f"{method} {rule['path']}"] = send(http, method, rule["path"], world).status_code
    return told


def by_key(key: str, **headers: str) -> HttpClient:
    return HttpClient(headers={"Authorization": f"Bearer {key}", **headers}, raise_request_exception=False)


def test_every_address_has_a_rule_and_every_rule_an_address() -> None:
    assert sorted(RULES) == sorted(one for one in patterns() if not one.startswith("admin/"))


def test_without_a_key_nothing_is_answered(world: World) -> None:
    assert set(asked(HttpClient(), world).values()) == {401}


@pytest.mark.parametrize("role", ["viewer", "superuser"])
def test_a_session_is_no_key(world: World, staff: Callable[[str], HttpClient], role: str) -> None:
    http = staff(role)
    http.handler.enforce_csrf_checks = True
    assert set(asked(http, world).values()) <= {401, 403}


def test_an_unknown_key_opens_nothing(world: World) -> None:
    assert set(asked(by_key("gf_" + "a" * 43), world).values()) == {401}


@pytest.mark.parametrize("scope", [*SCOPES, "none at all"])
def test_a_scope_opens_what_needs_it_and_nothing_else(world: World, scope: str) -> None:
    _, key = create_key(world.client, actor=SYSTEM, scopes=[scope] if scope in SCOPES else [])
    told = asked(by_key(key), world)
    expected = {
        f"{method} {rule['path']}": scope in (needed, "admin") or needed == "any"
        for rule in KEYED.values()
        for method, needed in rule["methods"].items()
    }
    assert {where: status not in (401, 403) for where, status in told.items()} == expected
    assert [where for where, status in told.items() if status >= 500] == []


def test_what_another_client_owns_is_not_there(world: World) -> None:
    _, key = create_key(Client.objects.create(name="Stranger"), actor=SYSTEM, scopes=["admin"])
    told = asked(by_key(key), world)
    assert {
        told[f"{method} {rule['path']}"] for rule in KEYED.values() if rule.get("owned") for method in rule["methods"]
    } == {404}


def test_a_pages_token_opens_what_is_made_for_pages_alone(world: World) -> None:
    caller = find_caller(world.key)
    assert caller
    token, _ = browser_tokens.make(caller, origin="https://app.example.com", seconds=600)
    told = asked(by_key(token, Origin="https://app.example.com"), world)
    opened = {where for where, status in told.items() if status not in (401, 403)}
    assert opened == {
        f"{method} {rule['path']}" for rule in KEYED.values() if rule.get("pages") for method in rule["methods"]
    }


def test_what_is_open_to_all_changes_nothing_and_tells_nothing_of_a_client(world: World) -> None:
    for pattern, rule in RULES.items():
        if rule["who"] != "anybody":
            continue
        for method in METHODS:
            answer = send(HttpClient(raise_request_exception=False), method, rule["path"], world)
            assert answer.status_code < 500, (pattern, method)
            told = b"".join(answer.streaming_content) if answer.streaming else answer.content
            assert b"Qwertz" not in told, (pattern, method)
            assert world.ids["job_id"].encode() not in told, (pattern, method)


@pytest.mark.parametrize("method", METHODS)
def test_what_needs_a_proof_of_its_own_is_not_there_without_it(world: World, method: str) -> None:
    for rule in RULES.values():
        if rule["who"] == "proof":
            for http in (HttpClient(), by_key(world.key)):
                assert send(http, method, rule["path"], world).status_code in rule["without"], (method, rule["path"])


def test_a_file_is_read_at_its_signed_address_alone(world: World) -> None:
    asset = world.ids["asset_id"]
    url = signed_url(asset, "a.png", base_url="")
    assert HttpClient().get(url).status_code == 200
    assert HttpClient().get(url.partition("?")[0]).status_code == 404


def test_metrics_are_for_this_machine_or_the_holder_of_the_token(world: World, settings: Any) -> None:
    assert HttpClient().get("/metrics", REMOTE_ADDR="203.0.113.5").status_code == 403
    settings.METRICS_TOKEN = "the token of the scraper"
    assert HttpClient().get("/metrics").status_code == 403
    assert by_key("another token").get("/metrics").status_code == 403
    assert by_key("the token of the scraper").get("/metrics", REMOTE_ADDR="203.0.113.5").status_code == 200
