"""Guessing passwords is slow, and nobody is locked out by those who guess."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as HttpClient
from django.urls import NoReverseMatch, reverse

from genfeed.clients.limits import logins
from genfeed.clients.limits.logins import PER_MINUTE
from genfeed.clients.models import RateBucket
from genfeed.journal.models import Alert
from genfeed.logs import logging_of

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
RIGHT = "a long pass phrase 7"
LogIn = Callable[..., Any]


@pytest.fixture(autouse=True)
def root(db: None) -> User:
    return User.objects.create_superuser("root", password=RIGHT)


def try_it(
    password: str,
    *,
    username: str = "root",
    address: str = "203.0.113.1",
    browser: HttpClient | None = None,
    **more: Any,
) -> Any:
    browser = browser or HttpClient()
    data = {"username": username, "password": password}
    return browser.post(LOGIN, data, REMOTE_ADDR=address, **more)


def test_tries_of_one_address_are_limited_whatever_account_they_name() -> None:
    statuses = [try_it("guess", username=f"somebody {number}").status_code for number in range(PER_MINUTE + 1)]
    assert statuses == [200] * PER_MINUTE + [429]
    assert try_it("guess", username="another", address="203.0.113.2").status_code == 200


@pytest.mark.once
def test_tries_for_one_account_are_limited_wherever_they_come_from() -> None:
    statuses = [try_it("guess", address=f"203.0.113.{number}").status_code for number in range(PER_MINUTE + 1)]
    assert statuses == [200] * PER_MINUTE + [429]
    assert try_it("guess", username="ROOT ", address="198.51.100.1").status_code == 429


@pytest.mark.once
def test_beyond_the_limit_the_right_password_is_refused_like_a_wrong_one() -> None:
    for _ in range(PER_MINUTE):
        try_it("guess")
    right, wrong = try_it(RIGHT), try_it("guess")
    assert (right.status_code, wrong.status_code) == (429, 429)
    assert int(right.headers["Retry-After"]) >= 1
    assert "Too many tries to log in. Wait" in right.content.decode()
    assert "sessionid" not in right.cookies


def test_a_try_is_looked_at_again_once_the_bucket_has_filled() -> None:
    for _ in range(PER_MINUTE + 1):
        try_it("guess")
    for bucket in RateBucket.objects.filter(name__startswith="login:"):
        RateBucket.objects.filter(pk=bucket.pk).update(full_at=bucket.full_at - 60_000_000 // PER_MINUTE)
    assert try_it(RIGHT).status_code == 302


@pytest.mark.once
def test_the_browser_that_logged_in_before_is_not_held_back_by_those_who_guess_elsewhere() -> None:
    own = HttpClient()
    assert try_it(RIGHT, browser=own).status_code == 302
    own.post("/admin/logout/")
    for number in range(PER_MINUTE + 1):
        last = try_it("guess", address=f"198.51.100.{number}")
    assert last.status_code == 429
    assert try_it(RIGHT, browser=own, address="203.0.113.77").status_code == 302


@pytest.mark.once
def test_such_a_browser_has_a_limit_of_its_own() -> None:
    own = HttpClient()
    try_it(RIGHT, browser=own)
    statuses = [try_it("guess", browser=own, address=f"198.51.100.{one}").status_code for one in range(PER_MINUTE + 1)]
    assert statuses == [200] * PER_MINUTE + [429]


@pytest.mark.once
def test_it_is_known_for_the_account_alone_that_logged_in_with_it() -> None:
    User.objects.create_superuser("other", password=RIGHT)
    own = HttpClient()
    try_it(RIGHT, username="other", browser=own)
    for number in range(PER_MINUTE):
        try_it("guess", address=f"198.51.100.{number}")
    assert try_it("guess", browser=own, address="192.0.2.1").status_code == 429


@pytest.mark.once
def test_a_made_up_cookie_makes_no_browser_known() -> None:
    for number in range(PER_MINUTE):
        try_it("guess", address=f"198.51.100.{number}")
    forged = HttpClient()
    forged.cookies[logins.COOKIE] = "WyJhIiwiYiJd:1tAAAA:xxxxxxxxxxxxxxxxxxxx"
    assert try_it("guess", browser=forged, address="192.0.2.1").status_code == 429


def test_logging_in_costs_no_try() -> None:
    User.objects.create_superuser("other", password=RIGHT)
    names = ["root", "other"] * PER_MINUTE
    assert {try_it(RIGHT, username=name).status_code for name in names} == {302}


@pytest.mark.once
def test_behind_our_proxy_the_address_that_it_saw_counts(settings: Any) -> None:
    settings.BEHIND_TLS = True
    for number in range(PER_MINUTE):
        forged = {"X-Forwarded-For": f"10.0.0.{number}, 203.0.113.7"}
        try_it("guess", username=f"name {number}", address="127.0.0.1", headers=forged)
    again = try_it("guess", username="x", address="127.0.0.1", headers={"X-Forwarded-For": "203.0.113.7"})
    other = try_it("guess", username="x", address="127.0.0.1", headers={"X-Forwarded-For": "203.0.113.8"})
    assert (again.status_code, other.status_code) == (429, 200)


def test_made_up_names_and_addresses_leave_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for number in range(3000) for name in logins._buckets(_request(number), f"made up {number}")}
    assert all(len(name) <= len("login:address:ffff") for name in names)


def _request(number: int) -> Any:
    from django.test import RequestFactory

    return RequestFactory().post(LOGIN, REMOTE_ADDR=f"10.{number // 250}.0.{number % 250}")


@pytest.mark.once
def test_staff_are_told_and_shown_no_name_that_is_nobodys() -> None:
    for number in range(PER_MINUTE + 1):
        try_it("guess", address=f"198.51.100.{number}")
    for number in range(PER_MINUTE + 1):
        try_it("guess", username="my pass phrase in the wrong field", address=f"192.0.2.{number}")
    told = set(Alert.objects.filter(code="logins_slowed").values_list("subject", "title"))
    assert told == {("root", "Somebody tries to log in as root"), ("", "Somebody tries names and passwords")}


@pytest.mark.once
def test_a_failed_try_is_a_line_of_the_log_with_its_address_and_without_what_was_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = logging.StreamHandler()
    formatter = logging_of("json", "INFO")["formatters"]["json"]
    from pythonjsonlogger.orjson import OrjsonFormatter

    handler.setFormatter(OrjsonFormatter(formatter["fmt"], reserved_attrs=formatter["reserved_attrs"]))
    logger = logging.getLogger("genfeed.admin_logins")
    logger.addHandler(handler)
    try:
        try_it("typed-password", username="typed-name\r\nforged line")
    finally:
        logger.removeHandler(handler)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert [(line["message"], line["address"]) for line in lines] == [("a login failed", "203.0.113.1")]
    assert "typed" not in json.dumps(lines)


@pytest.mark.once
def test_a_name_that_nobody_has_is_answered_like_a_wrong_password() -> None:
    User.objects.create_user("customer", password=RIGHT)
    answers = [try_it("guess"), try_it("guess", username="nobody"), try_it(RIGHT, username="customer")]
    told = {answer.context["form"].non_field_errors()[0] for answer in answers}
    assert len(told) == 1


@pytest.mark.once
def test_a_name_that_nobody_has_takes_the_work_of_a_password_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(User, "set_password", lambda self, raw: hashed.append(raw))
    try_it("guess", username="nobody")
    assert hashed == ["guess"]


@pytest.mark.once
@pytest.mark.parametrize("name", ["admin_password_reset", "password_reset", "admin:password_reset"])
def test_no_password_is_reset_by_mail(name: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(name)


@pytest.mark.once
def test_the_session_is_another_one_after_the_login_and_ends_with_the_logout() -> None:
    attacker = HttpClient()
    attacker.get(LOGIN)
    session = attacker.session
    session["planted"] = "yes"
    session.save()
    planted = session.session_key
    victim = HttpClient()
    victim.cookies["sessionid"] = planted
    assert try_it(RIGHT, browser=victim).status_code == 302
    mine = victim.cookies["sessionid"].value
    assert mine != planted
    attacker.cookies["sessionid"] = planted
    assert attacker.get("/admin/").status_code == 302
    victim.post("/admin/logout/")
    thief = HttpClient()
    thief.cookies["sessionid"] = mine
    assert thief.get("/admin/").status_code == 302


def test_a_new_password_ends_every_other_session() -> None:
    own, other = HttpClient(), HttpClient()
    try_it(RIGHT, browser=own)
    try_it(RIGHT, browser=other)
    new = "another pass phrase 8"
    changed = own.post("/admin/password_change/", {"old_password": RIGHT, "new_password1": new, "new_password2": new})
    assert changed.status_code == 302
    assert own.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302


@pytest.mark.once
def test_cookies_are_for_our_pages_alone(settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    browser = HttpClient()
    browser.get(LOGIN)
    cookies = try_it(RIGHT, browser=browser).cookies
    assert {name: (bool(c["secure"]), bool(c["httponly"]), c["samesite"]) for name, c in cookies.items()} == {
        "sessionid": (True, True, "Lax"),
        "csrftoken": (True, False, "Lax"),
        "gf_known": (True, True, "Lax"),
    }


@pytest.mark.once
@pytest.mark.parametrize(
    "there",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "https:evil.example", "javascript:alert(1)",
     "http:///evil.example", "\thttps://evil.example"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_after_the_login(there: str) -> None:
    answer = HttpClient().post(f"{LOGIN}?next=/admin/", {"username": "root", "password": RIGHT, "next": there})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/"
