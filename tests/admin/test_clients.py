"""Clients and their API keys in the admin: made, shown once, revoked, never changed or deleted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client as HttpClient
from django.utils import timezone

from genfeed.clients.keys import create_key, digest_of
from genfeed.clients.models import SCOPES, ApiKey, Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent
from tests.admin.pages import Page, page_of, read

pytestmark = [pytest.mark.django_db, pytest.mark.once]

CLIENTS = "/admin/clients/client/"
KEYS = "/admin/clients/apikey/"
ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
Staff = Callable[[str], HttpClient]


@pytest.fixture
def finance(staff: Staff) -> HttpClient:
    return staff("finance")


@pytest.fixture
def acme(db: None) -> Client:
    return Client.objects.create(name="Acme")


def make_key(browser: HttpClient, owner: Client, **more: Any) -> Any:
    """The answer to the form of a new key."""
    return browser.post(f"{KEYS}add/", {"client": owner.pk, "name": "web", "scopes": ["models:read"], **more})


def shown_key(answer: Any) -> str:
    """The text of the key on the page that shows it."""
    assert answer.status_code == 200
    return page_of(answer).one("input", data_testid="new-api-key").attributes["value"]


def errors(answer: Any) -> list[str]:
    return [item.text for item in page_of(answer).all("ul", "errorlist")]


# --- clients ---


def test_a_client_is_added(finance: HttpClient) -> None:
    answer = finance.post(f"{CLIENTS}add/", {"name": "Acme", "is_active": "on"})

    assert answer.headers["Location"] == CLIENTS
    assert list(Client.objects.values_list("name", "is_active")) == [("Acme", True)]
    assert list(AuditEvent.objects.values_list("actor_name", "action", "object_name")) == [
        ("a finance", "client.added", "Acme")
    ]


def test_a_second_client_of_the_same_name_is_refused_in_words(finance: HttpClient, acme: Client) -> None:
    answer = finance.post(f"{CLIENTS}add/", {"name": "ACME", "is_active": "on"})

    assert answer.status_code == 200
    assert errors(answer) != []
    assert Client.objects.count() == 1


def test_the_keys_of_a_client_that_is_made_inactive_are_refused(finance: HttpClient, acme: Client) -> None:
    key = shown_key(make_key(finance, acme))

    finance.post(f"{CLIENTS}{acme.pk}/change/", {"name": "Acme"})

    answer = HttpClient(headers={"Authorization": f"Bearer {key}"}).get("/api/v1/models")
    assert answer.status_code == 401


@pytest.mark.parametrize("role", ["finance", "superuser"])
def test_a_client_is_never_deleted(staff: Staff, acme: Client, role: str) -> None:
    browser = staff(role)

    assert browser.post(f"{CLIENTS}{acme.pk}/delete/", {"post": "yes"}).status_code == 403
    browser.post(CLIENTS, {"action": "delete_selected", "post": "yes", "_selected_action": [acme.pk]})
    assert Client.objects.count() == 1


def test_a_viewer_sees_a_client_without_a_way_to_change_it(staff: Staff, acme: Client) -> None:
    page = read(staff("viewer"), f"{CLIENTS}{acme.pk}/change/")

    assert page.all("input", name="name") == page.all("input", name="_save") == []


# --- a new key ---


def test_a_key_is_made_shown_and_works(finance: HttpClient, acme: Client) -> None:
    key = shown_key(make_key(finance, acme))

    assert key.startswith("gf_")
    answer = HttpClient(headers={"Authorization": f"Bearer {key}"}).get("/api/v1/models")
    assert answer.status_code == 200


def test_a_key_is_stored_as_prefix_and_digest_only(finance: HttpClient, acme: Client) -> None:
    key = shown_key(make_key(finance, acme))

    row = ApiKey.objects.get()
    assert (row.client, row.name, row.scopes, row.prefix) == (acme, "web", ["models:read"], key[:9])
    assert row.digest == digest_of(key)
    assert key not in str(list(ApiKey.objects.values()))


def test_the_page_that_shows_a_key_is_kept_by_no_cache(finance: HttpClient, acme: Client) -> None:
    assert "no-store" in make_key(finance, acme).headers["Cache-Control"].split(", ")


def test_a_key_is_shown_once_and_never_again(finance: HttpClient, root: HttpClient, acme: Client) -> None:
    answer = make_key(finance, acme)
    key = shown_key(answer)
    row = ApiKey.objects.get()

    later = [f"{KEYS}{row.pk}/change/", f"{KEYS}{row.pk}/history/", KEYS, f"{KEYS}add/", CLIENTS, "/admin/"]

    assert [url for url in later if key in finance.get(url).content.decode()] == []
    audit = [f"/admin/journal/auditevent/{event.pk}/change/" for event in AuditEvent.objects.all()]
    assert [url for url in ["/admin/journal/auditevent/", *audit] if key in read(root, url).html] == []


def test_a_key_lies_neither_in_a_cookie_nor_in_the_session_nor_in_the_audit(finance: HttpClient, acme: Client) -> None:
    answer = make_key(finance, acme)
    key = shown_key(answer)

    assert key not in str(answer.cookies) + str(finance.cookies)
    assert [session for session in Session.objects.all() if key in str(session.get_decoded())] == []
    assert key not in str(list(AuditEvent.objects.values()))
    assert "a finance" in AuditEvent.objects.filter(action="api_key.created").values_list("actor_name", flat=True)


def test_the_page_tells_how_to_use_a_key(finance: HttpClient, acme: Client) -> None:
    answer = make_key(finance, acme)

    assert page_of(answer).one("pre").text == (
        f'curl -H "Authorization: Bearer {shown_key(answer)}" http://testserver/api/v1/models'
    )


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother"])
def test_every_button_of_the_form_shows_the_key(finance: HttpClient, acme: Client, button: str) -> None:
    assert shown_key(make_key(finance, acme, **{button: "1"})).startswith("gf_")


def test_a_test_key_says_so_in_its_text(finance: HttpClient, acme: Client) -> None:
    assert shown_key(make_key(finance, acme, is_test="on")).startswith("gf_test_")


def test_a_key_has_the_chosen_scopes_and_end(finance: HttpClient, acme: Client) -> None:
    make_key(finance, acme, scopes=["models:read", "keys"], expires_at_0="2031-02-03", expires_at_1="04:05:06")

    row = ApiKey.objects.get()
    assert row.scopes == ["keys", "models:read"]
    assert f"{row.expires_at:%Y-%m-%d %H:%M:%S}" == "2031-02-03 04:05:06"


@pytest.mark.parametrize("role", ["finance", "superuser"])
def test_a_key_that_may_do_more_than_any_role_is_made_by_superusers_alone(
    staff: Staff, acme: Client, role: str
) -> None:
    browser, is_root = staff(role), role == "superuser"
    old, _ = create_key(acme, actor=SYSTEM, scopes=["admin"])
    offered = read(browser, f"{KEYS}add/").all("input", name="scopes")

    answer = make_key(browser, acme, scopes=["admin"])
    rotated = browser.post(f"{KEYS}{old.pk}/rotate/", {"overlap": "0"})

    assert ("admin" in {box.attributes["value"] for box in offered}) is is_root
    assert bool(page_of(answer).all("input", data_testid="new-api-key")) is is_root
    assert rotated.status_code == (200 if is_root else 302)
    assert ApiKey.objects.filter(scopes=["admin"]).count() == (3 if is_root else 1)


@pytest.mark.parametrize(
    "wrong", [{"scopes": []}, {"scopes": ["everything"]}, {"client": ""}, {"client": "404404"}, {"name": ""}]
)
def test_a_form_that_makes_no_sense_makes_no_key(finance: HttpClient, acme: Client, wrong: dict[str, Any]) -> None:
    answer = make_key(finance, acme, **wrong)

    assert errors(answer) != []
    assert ApiKey.objects.count() == 0


def test_the_form_explains_each_scope_and_begins_with_reading(finance: HttpClient, acme: Client) -> None:
    page = read(finance, f"{KEYS}add/")

    boxes = {box.attributes["value"]: "checked" in box.attributes for box in page.all("input", name="scopes")}
    assert boxes == {scope: scope in ("models:read", "estimates") for scope in SCOPES if scope != "admin"}
    assert "models:read: List and read the models of the catalog." in page.text


def test_the_names_of_client_and_key_are_text_and_never_markup(finance: HttpClient) -> None:
    page = page_of(make_key(finance, Client.objects.create(name=ATTACK), name=ATTACK))

    assert [element.text for element in page.all("script") if "alert" in element.text] == []
    assert [element.tag for element in page.elements if "onerror" in element.attributes] == []


# --- an existing key ---


def revoke(browser: HttpClient, *keys: ApiKey) -> Page:
    data = {"action": "revoke", "index": "0", "_selected_action": [key.pk for key in keys]}
    return page_of(browser.post(KEYS, data, follow=True))


def test_a_revoked_key_is_refused_at_once_and_audited(finance: HttpClient, acme: Client) -> None:
    key = shown_key(make_key(finance, acme))
    caller = HttpClient(headers={"Authorization": f"Bearer {key}"})
    before = caller.get("/api/v1/models").status_code

    revoke(finance, ApiKey.objects.get())

    assert (before, caller.get("/api/v1/models").status_code) == (200, 401)
    event = AuditEvent.objects.get(action="api_key.revoked")
    assert (event.actor_name, event.object_name) == ("a finance", f"{key[:9]}… (web)")


def test_who_may_only_see_keys_can_not_revoke_them(acme: Client) -> None:
    user = User.objects.create_user("auditor", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    browser = HttpClient()
    browser.force_login(user)
    key, _ = create_key(acme, actor=SYSTEM)

    revoke(browser, key)

    key.refresh_from_db()
    assert key.state == "active"
    assert not read(browser, KEYS).has("select", name="action")


def test_revoking_says_how_many_keys_it_revoked(finance: HttpClient, acme: Client) -> None:
    keys = [create_key(acme, actor=SYSTEM)[0] for _ in range(3)]
    revoke(finance, keys[0])

    page = revoke(finance, *keys)

    assert page.messages == ["2 revoked; they are refused everywhere within 2 seconds."]


def test_the_list_of_keys_says_their_states(finance: HttpClient, acme: Client) -> None:
    create_key(acme, actor=SYSTEM, name="good")
    create_key(acme, actor=SYSTEM, name="old", expires_at=timezone.now() - timedelta(days=1))
    gone, _ = create_key(acme, actor=SYSTEM, name="gone")
    revoke(finance, gone)

    states = {cells[2]: cells[4] for cells in read(finance, KEYS).rows if len(cells) > 4 and cells[3] == "Acme"}

    assert states == {"good": "active", "old": "expired", "gone": "revoked"}


@pytest.mark.parametrize("role", ["finance", "superuser"])
def test_a_key_can_be_neither_changed_nor_deleted(staff: Staff, acme: Client, role: str) -> None:
    browser = staff(role)
    key, _ = create_key(acme, actor=SYSTEM)
    data = {"client": acme.pk, "name": "changed", "scopes": ["admin"]}

    answers = [
        browser.post(f"{KEYS}{key.pk}/change/", data).status_code,
        browser.post(f"{KEYS}{key.pk}/delete/", {"post": "yes"}).status_code,
    ]
    browser.post(KEYS, {"action": "delete_selected", "post": "yes", "_selected_action": [key.pk]})

    assert answers == [403, 403]
    assert list(ApiKey.objects.values_list("name", "scopes")) == [("default", ["models:read"])]


def test_a_key_can_be_looked_at(finance: HttpClient, acme: Client) -> None:
    key, _ = create_key(acme, actor=SYSTEM, name="web")

    page = read(finance, f"{KEYS}{key.pk}/change/")

    assert "web" in page.text
    assert page.all("input", name="_save") == []


@pytest.mark.parametrize("role", ["viewer", "catalog manager"])
def test_who_may_not_see_keys_is_refused(staff: Staff, acme: Client, role: str) -> None:
    browser = staff(role)
    key, _ = create_key(acme, actor=SYSTEM)

    assert {browser.get(url).status_code for url in (KEYS, f"{KEYS}add/", f"{KEYS}{key.pk}/change/")} == {403}
    assert make_key(browser, acme).status_code == 403
    assert ApiKey.objects.count() == 1
