"""Every page and every action of the admin by every role, against the rules in access.toml."""

import tomllib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client as HttpClient
from django.test import RequestFactory

from tests.security.addresses import admin_path, patterns
from tests.security.undone import undone
from tests.security.world import World, make_world

pytestmark = pytest.mark.django_db

_ALL: dict[str, Any] = tomllib.loads((Path(__file__).parent / "access.toml").read_text())
PAGES: dict[str, dict[str, str]] = _ALL["admin"]
ACTIONS: dict[str, dict[str, str]] = _ALL["actions"]
ROLES = {"V": "viewer", "C": "catalog manager", "F": "finance", "S": "superuser"}
# Nobody has to be logged in for these.
OPEN = {"login/"}
NOT_SERVED = "-"


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def log_in(staff: Callable[[str], HttpClient]) -> Callable[[str], HttpClient]:
    def by_letter(letter: str) -> HttpClient:
        if letter in ROLES:
            http = staff(ROLES[letter])
        else:
            http = HttpClient()
            http.force_login(User.objects.create_user("newcomer", is_staff=letter == "N"))
        http.raise_request_exception = False
        return http

    return by_letter


def visit(http: HttpClient, method: str, pattern: str, world: World) -> Any:
    """One request, of which nothing is left: neither rows nor cookies."""
    cookies = deepcopy(http.cookies)
    with undone():
        answer = getattr(http, method)(admin_path(f"admin/{pattern}", world))
    http.cookies = cookies
    return answer


def is_refused(answer: Any) -> bool:
    return answer.status_code == 403 or "/admin/login/" in answer.headers.get("Location", "")


def test_every_page_has_a_rule_and_every_rule_a_page() -> None:
    assert sorted(PAGES) == sorted(one.removeprefix("admin/") for one in patterns() if one.startswith("admin/"))


@pytest.mark.parametrize("method", ["get", pytest.param("post", marks=pytest.mark.once)])
def test_a_role_gets_as_far_as_it_may(world: World, log_in: Any, method: str) -> None:
    browsers = {letter: log_in(letter) for letter in (*ROLES, "N")}
    told = {}
    for pattern, rule in PAGES.items():
        for letter in asked(pattern, rule[method]):
            answer = visit(browsers[letter], method, pattern, world)
            if problem := problem_of(answer, rule[method], letter):
                told[f"{pattern} for {letter}"] = f"{problem}: {answer.status_code}"
    assert told == {}


def asked(pattern: str, rule: str) -> list[str]:
    """Whom to try a page with: everybody who may not, and of those who may one, where the page is one of our own.

    What a viewer may every other role may too. Django's own pages for lists and rows are opened by other tests.
    On PostgreSQL only whether each page can be read from it: who is refused is refused before any of its own questions.
    """
    if rule == NOT_SERVED:
        return ["S"]
    if connection.vendor == "postgresql":
        return [*rule[:1]]
    may_not = [letter for letter in (*ROLES, "N") if letter not in rule]
    is_own = not pattern.endswith(("/history/", "/change/", "/delete/", "/add/", "<path:object_id>/"))
    return [*may_not, *(rule[:1] if is_own or rule[:1] != "V" else "")]


def problem_of(answer: Any, rule: str, letter: str) -> str:
    if answer.status_code >= 500:
        return "crashes"
    if rule == NOT_SERVED:
        return "" if answer.status_code == 405 else "is served"
    if is_refused(answer) or answer.status_code == 405:
        return "is refused" if letter in rule else ""
    return "" if letter in rule else "is served"


def test_the_other_roles_may_all_that_viewers_may() -> None:
    for rule in (rule for page in PAGES.values() for rule in page.values()):
        assert "V" not in rule or rule.startswith("VCFS")


@pytest.mark.once
@pytest.mark.parametrize("who", ["nobody", "a user who is no staff", "whoever has an API key"])
def test_strangers_are_led_to_the_login(world: World, log_in: Any, who: str) -> None:
    headers = {"Authorization": f"Bearer {world.key}"} if "key" in who else {}
    http = log_in("-") if "user" in who else HttpClient(headers=headers, raise_request_exception=False)
    answers = {pattern: visit(http, "get", pattern, world) for pattern in PAGES if pattern not in OPEN}
    led = {pattern for pattern, answer in answers.items() if "/admin/login/" in answer.headers.get("Location", "")}
    assert answers.keys() - led == {"logout/"}


@pytest.mark.once
def test_no_page_acts_for_another_sites_form(world: World, log_in: Any) -> None:
    http = log_in("S")
    http.handler.enforce_csrf_checks = True
    acted = {
        pattern: answer.status_code
        for pattern in PAGES
        if (answer := visit(http, "post", pattern, world)).status_code not in (403, 405)
    }
    assert acted == {}


@pytest.mark.once
def test_every_action_has_a_rule_and_every_role_the_actions_that_it_may_take(log_in: Any) -> None:
    users = {}
    for letter in (*ROLES, "N"):
        users[letter] = User.objects.get(pk=log_in(letter).session["_auth_user_id"])
    found: dict[str, dict[str, str]] = {}
    for model, model_admin in admin.site._registry.items():
        for letter, user in users.items():
            request = RequestFactory().get("/admin/")
            request.user = user
            if not model_admin.has_view_permission(request):
                continue
            for name in model_admin.get_actions(request):
                letters = found.setdefault(model._meta.label_lower, {})
                letters[name] = letters.get(name, "") + letter
    assert found == ACTIONS
