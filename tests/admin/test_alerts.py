"""Alerts in the admin: shown, filtered, and acknowledged by those who may."""

from collections.abc import Callable

import pytest
from django.test import Client as HttpClient

from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert, AuditEvent
from tests.admin.pages import Page, page_of, read

pytestmark = pytest.mark.django_db

ALERTS = "/admin/journal/alert/"
Staff = Callable[[str], HttpClient]


def acknowledge(client: HttpClient, *alerts: Alert) -> Page:
    data = {"action": "acknowledge", "index": "0", "_selected_action": [alert.pk for alert in alerts]}
    return page_of(client.post(ALERTS, data, follow=True))


def make_alert(subject: str = "fal", **columns: str) -> Alert:
    raise_alert("sync_failed", subject, f"The sync of {subject} failed", **columns)
    return Alert.objects.get(subject=subject, resolved_at=None)


def subjects(page: Page) -> list[str]:
    return [cell.text for cell in page.all("td", "field-subject")]


@pytest.mark.once
@pytest.mark.parametrize("role", ["superuser", "catalog manager", "finance"])
def test_an_alert_is_acknowledged_with_the_name_of_the_person(staff: Staff, role: str) -> None:
    alert = make_alert()
    client = staff(role)

    page = acknowledge(client, alert)

    alert.refresh_from_db()
    assert page.messages == ["1 acknowledged."]
    assert alert.acknowledged_at is not None
    assert alert.acknowledged_by is not None
    name = alert.acknowledged_by.username
    assert name == ("root" if role == "superuser" else f"a {role}")
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_name, event.object_name) == (
        "alert.acknowledged", name, "The sync of fal failed",
    )  # fmt: skip


@pytest.mark.once
def test_a_viewer_sees_alerts_but_can_not_acknowledge_them(staff: Staff) -> None:
    alert = make_alert()
    client = staff("viewer")

    page = read(client, ALERTS)
    acknowledge(client, alert)

    alert.refresh_from_db()
    assert subjects(page) == ["fal"]
    assert not page.has("select", name="action")
    assert alert.acknowledged_at is None
    assert AuditEvent.objects.count() == 0


def test_an_alert_is_acknowledged_once(root: HttpClient) -> None:
    first, second = make_alert("fal"), make_alert("replicate")
    acknowledge(root, first)
    first.refresh_from_db()
    at = first.acknowledged_at

    page = acknowledge(root, first, second)

    first.refresh_from_db()
    assert page.messages == ["1 acknowledged."]
    assert first.acknowledged_at == at


@pytest.mark.parametrize(
    ("state", "expected"),
    [("", ["new", "done", "over"]), ("open", ["new"]), ("acknowledged", ["done"]), ("resolved", ["over"])],
)
def test_alerts_are_filtered_by_their_state(root: HttpClient, state: str, expected: list[str]) -> None:
    done = make_alert("done")
    make_alert("over")
    acknowledge(root, done)
    resolve("sync_failed", "over")
    make_alert("new")

    page = read(root, f"{ALERTS}?state={state}" if state else ALERTS)

    assert sorted(subjects(page)) == sorted(expected)


@pytest.mark.once
def test_an_alert_links_to_where_it_is_dealt_with(root: HttpClient) -> None:
    make_alert(url="/admin/catalog/provider/1/change/")

    link = read(root, ALERTS).one("a", href="/admin/catalog/provider/1/change/")

    assert link.text == "The sync of fal failed"


@pytest.mark.once
@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://evil.example/", ""])
@pytest.mark.parametrize("page", [ALERTS, "/admin/"])
def test_an_alert_without_a_place_of_ours_links_to_its_own_words(root: HttpClient, page: str, url: str) -> None:
    alert = make_alert(url=url)

    shown = read(root, page)

    links = [link.attributes["href"] for link in shown.all("a") if link.text == "The sync of fal failed"]
    assert links == [f"{ALERTS}{alert.pk}/change/"]


@pytest.mark.once
def test_the_text_of_an_alert_is_never_markup(root: HttpClient) -> None:
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    alert = make_alert(attack, text=attack, level="critical", url="/admin/?x=<script>")

    for url in (ALERTS, f"{ALERTS}{alert.pk}/change/", "/admin/"):
        page = read(root, url)
        assert [element.text for element in page.all("script") if "alert" in element.text] == []
        assert [element.tag for element in page.elements if "onerror" in element.attributes] == []


@pytest.mark.once
def test_an_alert_counts_how_often_it_came(root: HttpClient) -> None:
    make_alert()
    make_alert()

    assert read(root, ALERTS).one("td", "field-seen").text.endswith(", 2 times")


@pytest.mark.once
@pytest.mark.parametrize("what", ["change", "delete"])
def test_an_alert_can_be_neither_edited_nor_deleted(root: HttpClient, what: str) -> None:
    alert = make_alert()

    assert root.post(f"{ALERTS}{alert.pk}/{what}/", {"title": "all is well", "post": "yes"}).status_code == 403
    assert Alert.objects.get().title == "The sync of fal failed"
