"""The page of a client: its terms, and its keys with how to rotate and revoke them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients.keys import create_key, find_caller, revoke_key
from genfeed.clients.models import ApiKey, Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from tests.admin.pages import Page, page_of, read

pytestmark = [pytest.mark.django_db, pytest.mark.once]

KEYS = "/admin/clients/apikey/"
DAY = timedelta(days=1)
Staff = Callable[[str], HttpClient]


@pytest.fixture
def finance(staff: Staff) -> HttpClient:
    return staff("finance")


@pytest.fixture
def acme(db: None) -> Client:
    return Client.objects.create(name="Acme")


def address(client: Client) -> str:
    return f"/admin/clients/client/{client.pk}/change/"


def save(browser: HttpClient, client: Client, **fields: Any) -> Any:
    return browser.post(
        address(client), {"name": client.name, "is_active": "on", "timezone": "UTC", "enable_caching": "on", **fields}
    )


def errors(answer: Any) -> list[str]:
    return [item.text for item in page_of(answer).all("ul", "errorlist")]


def rows_of_keys(page: Page) -> list[list[str]]:
    return [cells for cells in page.rows if cells and cells[0].startswith("gf_")]


# --- terms ---


def test_all_terms_of_a_client_are_saved(finance: HttpClient, acme: Client) -> None:
    answer = save(
        finance, acme, email="a@example.com", timezone="Europe/Berlin", allowed_models="fal-ai/*\r\n\r\n a/b ",
        denied_models="fal:fal-ai/veo3", jobs_per_minute="5", reads_per_minute="0", max_in_flight="3", max_queued="4",
    )  # fmt: skip

    assert answer.status_code == 302
    acme.refresh_from_db()
    assert (acme.email, acme.timezone) == ("a@example.com", "Europe/Berlin")
    assert (acme.allowed_models, acme.denied_models) == (["a/b", "fal-ai/*"], ["fal:fal-ai/veo3"])
    assert (acme.jobs_per_minute, acme.reads_per_minute, acme.max_in_flight, acme.max_queued) == (5, 0, 3, 4)


def test_a_change_of_terms_is_in_the_audit_with_both_values(finance: HttpClient, acme: Client) -> None:
    save(finance, acme, timezone="Asia/Tokyo", denied_models="b/*\na/*", max_in_flight="3")

    event = AuditEvent.objects.get(action="client.changed")
    assert event.before == {"timezone": "UTC", "denied_models": "", "max_in_flight": ""}
    assert event.after == {"timezone": "Asia/Tokyo", "denied_models": "a/*, b/*", "max_in_flight": "3"}


def test_saving_without_a_change_says_so_in_the_audit(finance: HttpClient, acme: Client) -> None:
    Client.objects.update(allowed_models=["a/*", "b"])

    save(finance, acme, allowed_models="b\na/*")

    assert AuditEvent.objects.get().after == {}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus is no time zone; use an IANA name such as UTC or Europe/Berlin."),
        ({"allowed_models": "a/b\nno model"}, "'no model' is no model id; write"),
        ({"denied_models": "*/x"}, "'*/x' is no model id; write"),
        ({"email": "nobody"}, "Enter a valid email address."),
        ({"jobs_per_minute": "-1"}, "greater than or equal to 0"),
        ({"max_queued": "many"}, "Enter a whole number."),
    ],
)
def test_terms_that_make_no_sense_are_refused_in_words(
    finance: HttpClient, acme: Client, wrong: dict[str, str], words: str
) -> None:
    answer = save(finance, acme, **wrong)

    assert any(words in error for error in errors(answer))
    assert AuditEvent.objects.count() == 0


def test_what_was_typed_wrongly_is_shown_again(finance: HttpClient, acme: Client) -> None:
    page = page_of(save(finance, acme, allowed_models="a/b\nno model"))

    assert page.one("textarea", name="allowed_models").text == "a/b no model"


def test_lists_are_shown_one_id_a_line_and_time_zones_offered(finance: HttpClient, acme: Client) -> None:
    Client.objects.update(denied_models=["a/*", "b"])

    page = read(finance, address(acme))

    assert "".join(page.one("textarea", name="denied_models").texts).split() == ["a/*", "b"]
    assert page.one("input", name="timezone").attributes["list"] == page.one("datalist").attributes["id"]
    assert {option.attributes["value"] for option in page.all("option")} == available_timezones()


# --- keys on the page ---


def test_the_page_shows_the_keys_with_state_use_and_what_can_be_done(finance: HttpClient, acme: Client) -> None:
    used, _ = create_key(acme, actor=SYSTEM, name="used", scopes=["keys", "estimates"])
    ApiKey.objects.filter(pk=used.pk).update(uses=12, last_used_at=timezone.now())
    gone, _ = create_key(acme, actor=SYSTEM, name="gone")
    revoke_key(gone, actor=SYSTEM)
    create_key(Client.objects.create(name="Other"), actor=SYSTEM, name="foreign")

    today = f"{timezone.now():%Y-%m-%d}"
    rows = {cells[0]: cells[1:] for cells in rows_of_keys(read(finance, address(acme)))}

    assert rows.keys() == {str(used), str(gone)}
    assert rows[str(gone)][:5] == ["revoked", "models:read", today, "never", "0"]
    assert rows[str(gone)][5].startswith(today)
    assert rows[str(gone)][6] == ""
    assert rows[str(used)][:3] == ["active", "estimates, keys", today]
    assert rows[str(used)][3].startswith(today)
    assert rows[str(used)][4:] == ["12", "no end", "Rotate… Revoke…"]


def test_keys_that_ended_long_ago_are_left_out(finance: HttpClient, acme: Client) -> None:
    create_key(acme, actor=SYSTEM, name="old", expires_at=timezone.now() - 31 * DAY)
    create_key(acme, actor=SYSTEM, name="late", expires_at=timezone.now() - DAY)

    assert ["late" in cells[0] for cells in rows_of_keys(read(finance, address(acme)))] == [True]


def test_who_may_not_see_keys_sees_the_client_alone(staff: Staff, acme: Client) -> None:
    create_key(acme, actor=SYSTEM)

    assert rows_of_keys(read(staff("viewer"), address(acme))) == []


# --- a key's own page ---


def test_a_key_is_rotated_and_its_successor_shown_once(finance: HttpClient, acme: Client) -> None:
    key, old_text = create_key(acme, actor=SYSTEM, name="web")
    assert "radio" not in read(finance, f"{KEYS}{key.pk}/rotate/").html

    answer = finance.post(f"{KEYS}{key.pk}/rotate/", {"overlap": "3600"})

    text = page_of(answer).one("input", data_testid="new-api-key").attributes["value"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert find_caller(text)
    assert find_caller(old_text)
    key.refresh_from_db()
    assert key.expires_at
    assert key.expires_at - timezone.now() <= timedelta(hours=1)
    assert AuditEvent.objects.get(action="api_key.rotated").actor_name == "a finance"
    assert "being replaced" in read(finance, address(acme)).text


@pytest.mark.parametrize("overlap", ["", "-1", "17", "forever"])
def test_an_overlap_that_is_not_offered_is_refused(finance: HttpClient, acme: Client, overlap: str) -> None:
    key, _ = create_key(acme, actor=SYSTEM)

    answer = finance.post(f"{KEYS}{key.pk}/rotate/", {"overlap": overlap})

    assert errors(answer) != []
    assert ApiKey.objects.count() == 1


def test_a_key_that_ended_is_not_rotated_and_the_page_says_why(finance: HttpClient, acme: Client) -> None:
    key, _ = create_key(acme, actor=SYSTEM)
    revoke_key(key, actor=SYSTEM)

    page = page_of(finance.post(f"{KEYS}{key.pk}/rotate/", {"overlap": "0"}, follow=True))

    assert page.messages == [f"The key {key.prefix}… is revoked; make a new one instead."]
    assert ApiKey.objects.count() == 1


def test_a_key_is_revoked_after_one_more_question(finance: HttpClient, acme: Client) -> None:
    key, text = create_key(acme, actor=SYSTEM)
    read(finance, f"{KEYS}{key.pk}/revoke/")
    assert find_caller(text)

    page = page_of(finance.post(f"{KEYS}{key.pk}/revoke/", follow=True))

    assert page.messages == [f"The key {key} is revoked; it is refused everywhere within 2 seconds."]
    assert find_caller(text) is None


@pytest.mark.parametrize("step", ["rotate", "revoke"])
@pytest.mark.parametrize("role", ["viewer", "catalog manager"])
def test_who_may_not_change_keys_neither_rotates_nor_revokes(staff: Staff, acme: Client, role: str, step: str) -> None:
    browser = staff(role)
    key, text = create_key(acme, actor=SYSTEM)

    assert browser.get(f"{KEYS}{key.pk}/{step}/").status_code == 403
    assert browser.post(f"{KEYS}{key.pk}/{step}/", {"overlap": "0"}).status_code == 403
    assert find_caller(text)
    assert ApiKey.objects.count() == 1


def test_a_key_that_does_not_exist_is_a_404(finance: HttpClient) -> None:
    assert [finance.get(f"{KEYS}404/{step}/").status_code for step in ("rotate", "revoke")] == [404, 404]


def test_a_new_key_takes_lists_and_limits(finance: HttpClient, acme: Client) -> None:
    data = {"client": acme.pk, "name": "web", "scopes": ["models:read"], "allowed_models": "b\na/*"}
    finance.post(f"{KEYS}add/", data | {"denied_models": "a/x", "jobs_per_minute": "7"})

    key = ApiKey.objects.get()
    assert (key.allowed_models, key.denied_models, key.jobs_per_minute) == (["a/*", "b"], ["a/x"], 7)
    assert key.created_by == "a finance"
    assert "a/*" in read(finance, f"{KEYS}{key.pk}/change/").text


@pytest.mark.parametrize(
    "wrong",
    [
        {"expires_at_0": "2001-02-03", "expires_at_1": "00:00"},
        {"allowed_models": "no model"},
        {"reads_per_minute": "x"},
    ],
)
def test_a_new_key_of_nonsense_is_refused(finance: HttpClient, acme: Client, wrong: dict[str, str]) -> None:
    answer = finance.post(f"{KEYS}add/", {"client": acme.pk, "name": "web", "scopes": ["models:read"], **wrong})

    assert errors(answer) != []
    assert ApiKey.objects.count() == 0
