"""The button that switches one model, in the list and on its page."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog import revisions
from catalog.models import AIModel
from genfeed.journal.models import AuditEvent
from tests.admin.pages import page_of, read
from tests.factories import make_model, publish_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]

LIST = "/admin/catalog/aimodel/"
Staff = Callable[[str], HttpClient]


@pytest.fixture
def manager(staff: Staff) -> HttpClient:
    return staff("catalog manager")


def page_url(row: AIModel) -> str:
    return f"{LIST}{row.pk}/change/"


def toggle_url(row: AIModel) -> str:
    return f"{LIST}{row.pk}/toggle/"


def switch(client: HttpClient, row: AIModel, on: str = "0", **more: Any) -> Any:
    return client.post(toggle_url(row), {"on": on}, **more)


def test_the_button_of_a_row_switches_its_model_off_with_the_token_of_the_list(manager: HttpClient) -> None:
    row = make_model()
    manager.handler.enforce_csrf_checks = True
    page = read(manager, LIST)
    button = page.one("button", "gf-button")
    token = page.one("form", id="changelist-form") and page.all("input", name="csrfmiddlewaretoken")[-1]

    answer = manager.post(
        button.attributes["formaction"],
        {button.attributes["name"]: button.attributes["value"], "csrfmiddlewaretoken": token.attributes["value"]},
    )

    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.switch, row.enabled) == ("off", False)


def test_the_button_is_a_post_of_the_form_that_it_stands_in(manager: HttpClient) -> None:
    row = make_model()

    button = read(manager, LIST).one("button", "gf-button")

    assert button.attributes["formmethod"] == "post"
    assert button.attributes["formaction"] == toggle_url(row)
    assert (button.text, button.attributes["aria-label"]) == ("Disable", "Disable fal-ai/flux/dev")


def test_a_switch_without_token_is_refused(manager: HttpClient) -> None:
    row = make_model()
    manager.handler.enforce_csrf_checks = True

    assert switch(manager, row).status_code == 403
    row.refresh_from_db()
    assert row.enabled


def test_a_model_that_is_off_is_switched_on(manager: HttpClient) -> None:
    row = make_model(switch="off")
    button = read(manager, LIST).one("button", "gf-button")

    switch(manager, row, button.attributes["value"])

    assert button.text == "Enable"
    row.refresh_from_db()
    assert (row.switch, row.enabled) == ("on", True)


def test_the_switch_leads_back_to_the_page_it_was_pressed_on(manager: HttpClient) -> None:
    row = make_model()
    back = f"http://testserver{LIST}?enabled=yes&p=1&q=flux"

    answer = switch(manager, row, headers={"referer": back})

    assert answer.headers["Location"] == back


@pytest.mark.parametrize(
    "referer",
    [
        "",
        "https://evil.example/admin/",
        "//evil.example/admin/",
        "http:///evil.example/",
        "http://testserver.evil.example/",
        "http://testserver@evil.example/",
        "javascript:alert(1)",
        r"\\evil.example",
    ],
)
def test_the_switch_never_leads_to_another_host(manager: HttpClient, referer: str) -> None:
    row = make_model()

    answer = switch(manager, row, headers={"referer": referer})

    assert (answer.status_code, answer.headers["Location"]) == (302, page_url(row))


def test_the_switch_says_what_it_did(manager: HttpClient) -> None:
    row = make_model()

    answer = switch(manager, row, follow=True)

    assert page_of(answer).messages == ["Disabled: fal-ai/flux/dev."]


def test_a_switch_is_audited_with_the_name_of_the_person_and_published(manager: HttpClient) -> None:
    row = make_model()

    switch(manager, row)

    event = AuditEvent.objects.get()
    assert (event.actor_name, event.action, event.object_name) == (
        "a catalog manager", "model.switched_off", "fal-ai/flux/dev",
    )  # fmt: skip
    assert event.before == {"switch": "auto", "enabled": True}
    assert event.after == {"switch": "off", "enabled": False}
    row.refresh_from_db()
    assert row.revision == revisions.current().number  # type: ignore[union-attr]


def test_clients_do_not_see_a_model_from_the_moment_that_it_is_switched_off(
    manager: HttpClient, api: HttpClient
) -> None:
    row = make_model()
    publish_now()
    seen = api.get("/api/v1/models").json()["items"]

    switch(manager, row)

    assert len(seen) == 1
    assert api.get("/api/v1/models").json()["items"] == []


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_only_a_post_switches(manager: HttpClient, method: str) -> None:
    row = make_model()

    assert getattr(manager, method)(toggle_url(row)).status_code == 405
    row.refresh_from_db()
    assert row.enabled


def test_switching_a_model_that_does_not_exist_is_not_found(manager: HttpClient) -> None:
    assert manager.post(f"{LIST}404404/toggle/", {"on": "0"}).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "finance"])
def test_who_may_not_switch_is_refused(staff: Staff, role: str) -> None:
    row = make_model()

    assert switch(staff(role), row).status_code == 403
    row.refresh_from_db()
    assert row.enabled
    assert AuditEvent.objects.count() == 0


def test_who_is_not_logged_in_is_asked_to(client: HttpClient) -> None:
    row = make_model()

    answer = switch(client, row)

    assert answer.headers["Location"].startswith("/admin/login/")
    row.refresh_from_db()
    assert row.enabled


@pytest.mark.parametrize("role", ["viewer", "finance"])
def test_who_may_not_switch_sees_no_buttons_and_no_actions(staff: Staff, role: str) -> None:
    row = make_model()
    client = staff(role)

    page = read(client, LIST)

    assert page.all("button", "gf-button") == page.all("select", name="action") == []
    assert page.one("span", "gf-badge").text == "enabled"
    assert not read(client, page_url(row)).has("form", action=toggle_url(row))


@pytest.mark.parametrize("role", ["superuser", "catalog manager"])
def test_who_may_switch_sees_the_buttons_and_the_actions(staff: Staff, role: str) -> None:
    row = make_model()
    client = staff(role)

    page = read(client, LIST)

    assert page.one("button", "gf-button").text == "Disable"
    assert [option.attributes["value"] for option in page.all("option")] == ["", "enable", "disable"]
    assert read(client, page_url(row)).has("form", action=toggle_url(row))
