"""Every change that a person makes in the admin is in the audit, and the audit is only ever added to."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.forms import CharField, ModelForm
from django.test import Client as HttpClient
from django.test import RequestFactory
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Task

from genfeed.admin_audit import AuditedAdmin
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM, Change, record
from genfeed.journal.models import AppendOnlyError, AuditEvent
from tests.admin.pages import form_data, page_of, read

pytestmark = pytest.mark.django_db

AUDIT = "/admin/journal/auditevent/"
PASSWORD = "a long pass phrase 7"
Staff = Callable[[str], HttpClient]


def submit(client: HttpClient, url: str, form_id: str, **changed: Any) -> None:
    """Sends the form at `url` as it is shown, with these fields changed (None: left out); it must be accepted."""
    data: dict[str, Any] = form_data(read(client, url), form_id) | changed
    answer = client.post(url, {name: value for name, value in data.items() if value is not None})
    assert answer.status_code == 302, page_of(answer).text


def newest() -> AuditEvent:
    event = AuditEvent.objects.first()
    assert event is not None
    return event


def said(event: AuditEvent) -> tuple[str, str, str, str]:
    return event.actor_name, event.action, event.object_type, event.object_name


# --- users ---


def add_user(root: HttpClient, name: str = "eve") -> User:
    root.post(
        "/admin/auth/user/add/",
        {"username": name, "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"},
    )
    return User.objects.get(username=name)


@pytest.mark.once
def test_a_new_user_is_audited(root: HttpClient) -> None:
    user = add_user(root)

    assert said(newest()) == ("root", "user.added", "auth.user", "eve")
    assert newest().object_id == str(user.pk)


@pytest.mark.once
def test_a_changed_user_is_audited_with_the_values_before_and_after(root: HttpClient) -> None:
    user = User.objects.create_user("eve", first_name="Eve")
    viewer = Group.objects.get(name="viewer")

    submit(
        root, f"/admin/auth/user/{user.pk}/change/", "user_form", first_name="Eva", is_staff="on", groups=[viewer.pk]
    )

    assert said(newest()) == ("root", "user.changed", "auth.user", "eve")
    assert newest().before == {"first_name": "Eve", "is_staff": "False", "groups": ""}
    assert newest().after == {"first_name": "Eva", "is_staff": "True", "groups": "viewer"}


@pytest.mark.once
def test_only_what_changed_is_in_the_audit(root: HttpClient) -> None:
    user = User.objects.create_user("eve", email="eve@example.com")

    submit(root, f"/admin/auth/user/{user.pk}/change/", "user_form", last_name="Moneypenny")

    assert (newest().before, newest().after) == ({"last_name": ""}, {"last_name": "Moneypenny"})


@pytest.mark.once
def test_a_deleted_user_is_audited(root: HttpClient) -> None:
    user = User.objects.create_user("eve")

    root.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"})

    assert said(newest()) == ("root", "user.deleted", "auth.user", "eve")
    assert newest().object_id == str(user.pk)


@pytest.mark.once
def test_users_deleted_together_are_audited_one_by_one(root: HttpClient) -> None:
    users = [User.objects.create_user(f"user {number}") for number in range(3)]

    root.post(
        "/admin/auth/user/",
        {"action": "delete_selected", "post": "yes", "_selected_action": [user.pk for user in users]},
    )

    events = AuditEvent.objects.filter(action="user.deleted", actor_name="root")
    assert sorted(events.values_list("object_name", flat=True)) == ["user 0", "user 1", "user 2"]


def test_what_a_deleted_user_did_stays_in_the_audit(root: HttpClient) -> None:
    other = User.objects.create_superuser("other")
    browser = HttpClient()
    browser.force_login(other)
    add_user(browser)

    root.post(f"/admin/auth/user/{other.pk}/delete/", {"post": "yes"})

    event = AuditEvent.objects.get(action="user.added")
    assert (event.actor_name, event.actor) == ("other", None)


# --- passwords ---


@pytest.mark.once
def test_the_password_of_a_new_user_is_nowhere_in_the_audit(root: HttpClient) -> None:
    user = add_user(root)

    assert PASSWORD not in str(list(AuditEvent.objects.values()))
    assert user.password not in str(list(AuditEvent.objects.values()))


@pytest.mark.once
def test_a_password_that_is_set_for_somebody_is_audited_without_the_password(root: HttpClient) -> None:
    user = User.objects.create_user("eve")

    root.post(
        f"/admin/auth/user/{user.pk}/password/",
        {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true", "set-password": "1"},
    )

    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert said(newest()) == ("root", "user.changed", "auth.user", "eve")
    assert PASSWORD not in str(list(AuditEvent.objects.values()))
    assert user.password not in str(list(AuditEvent.objects.values()))


@pytest.mark.once
def test_the_change_of_ones_own_password_is_audited_without_the_password(root: HttpClient) -> None:
    answer = root.post(
        "/admin/password_change/", {"old_password": "x", "new_password1": PASSWORD, "new_password2": PASSWORD}
    )

    assert answer.headers["Location"] == "/admin/password_change/done/"
    assert said(newest()) == ("root", "user.password_changed", "auth.user", "root")
    assert PASSWORD not in str(list(AuditEvent.objects.values()))


@pytest.mark.once
def test_a_refused_change_of_ones_own_password_is_not_audited(root: HttpClient) -> None:
    root.post(
        "/admin/password_change/", {"old_password": "wrong", "new_password1": PASSWORD, "new_password2": PASSWORD}
    )
    root.get("/admin/password_change/")

    assert AuditEvent.objects.count() == 0


@pytest.mark.once
def test_the_values_of_fields_that_hold_secrets_are_masked(rf: RequestFactory) -> None:
    class ClientForm(ModelForm):
        provider_key = CharField()

        class Meta:
            model = Client
            fields = ["name"]

    acme = Client.objects.create(name="Acme")
    form = ClientForm({"name": "Apex", "provider_key": PASSWORD}, instance=acme, initial={"provider_key": "before"})
    request = rf.post("/")
    request.user = User.objects.create_superuser("root")
    page = AuditedAdmin(Client, site)
    assert form.is_valid()

    page.log_change(request, page.save_form(request, form, change=True), "")

    assert newest().before == {"name": "Acme", "provider_key": "(hidden)"}
    assert newest().after == {"name": "Apex", "provider_key": "(hidden)"}


# --- groups, schedules, clients ---


@pytest.mark.once
def test_the_permissions_of_a_group_are_audited_by_their_names(root: HttpClient) -> None:
    group = Group.objects.get(name="viewer")
    kept = group.permissions.get(codename="view_alert")

    submit(root, f"/admin/auth/group/{group.pk}/change/", "group_form", permissions=[kept.pk])

    assert said(newest()) == ("root", "group.changed", "auth.group", "viewer")
    assert "Can view model" in newest().before["permissions"]
    assert newest().after["permissions"] == str(kept)


@pytest.mark.once
def test_a_new_and_a_deleted_group_are_audited(root: HttpClient) -> None:
    root.post("/admin/auth/group/add/", {"name": "auditors"})
    root.post(f"/admin/auth/group/{Group.objects.get(name='auditors').pk}/delete/", {"post": "yes"})

    assert list(AuditEvent.objects.values_list("action", "object_name")) == [
        ("group.deleted", "auditors"), ("group.added", "auditors"),
    ]  # fmt: skip


@pytest.mark.once
def test_a_changed_schedule_is_audited(root: HttpClient) -> None:
    schedule = Schedule.objects.get(func="catalog.tasks.sync_all")

    submit(root, f"/admin/django_q/schedule/{schedule.pk}/change/", "schedule_form", cron="0 3 * * *")

    assert said(newest())[:3] == ("root", "schedule.changed", "django_q.schedule")
    assert (newest().before, newest().after) == ({"cron": "0 */6 * * *"}, {"cron": "0 3 * * *"})


@pytest.mark.once
def test_a_deleted_schedule_is_audited(root: HttpClient) -> None:
    schedule = Schedule.objects.get(func="catalog.tasks.sync_all")

    root.post(f"/admin/django_q/schedule/{schedule.pk}/delete/", {"post": "yes"})

    assert said(newest())[:3] == ("root", "schedule.deleted", "django_q.schedule")


@pytest.mark.once
def test_a_deleted_queued_task_is_audited(root: HttpClient) -> None:
    task = OrmQ.objects.create(key="genfeed", payload="not readable", lock=timezone.now())

    root.post(f"/admin/django_q/ormq/{task.pk}/delete/", {"post": "yes"})

    assert OrmQ.objects.count() == 0
    assert said(newest())[:3] == ("root", "ormq.deleted", "django_q.ormq")


@pytest.mark.once
def test_a_failed_task_that_is_submitted_again_is_audited(root: HttpClient) -> None:
    now = timezone.now()
    task = Task.objects.create(
        id="a" * 32, name="sync-1", func="catalog.tasks.sync_all", started=now, stopped=now, success=False
    )

    root.post("/admin/django_q/failure/", {"action": "resubmit_task", "index": "0", "_selected_action": [task.pk]})

    assert Failure.objects.count() == 0
    assert said(newest())[:3] == ("root", "failure.resubmit_task", "django_q.failure")


@pytest.mark.once
def test_a_changed_client_is_audited(staff: Staff) -> None:
    acme = Client.objects.create(name="Acme")

    submit(staff("finance"), f"/admin/clients/client/{acme.pk}/change/", "client_form", is_active=None)

    assert said(newest()) == ("a finance", "client.changed", "clients.client", "Acme")
    assert (newest().before, newest().after) == ({"is_active": "True"}, {"is_active": "False"})


@pytest.mark.once
def test_the_audit_carries_the_id_of_the_request(root: HttpClient) -> None:
    answer = root.post("/admin/auth/group/add/", {"name": "auditors"})

    assert newest().request_id == answer.headers["X-Request-Id"] != ""


@pytest.mark.once
def test_a_refused_form_is_not_audited(root: HttpClient) -> None:
    root.post("/admin/auth/group/add/", {"name": ""})

    assert AuditEvent.objects.count() == 0


# --- only ever added to ---


@pytest.fixture
def event(db: None) -> AuditEvent:
    record("client.renamed", [Change(Client.objects.create(name="Acme"), {"a": 1}, {"a": 2})], actor=SYSTEM)
    return AuditEvent.objects.get()


def is_untouched(event: AuditEvent) -> bool:
    """Whether the audit still holds this event as it was; what was done to it since may stand beside it."""
    columns = ("actor_name", "action", "object_id", "before", "after", "at")
    now = AuditEvent.objects.get(pk=event.pk)
    return all(getattr(now, column) == getattr(event, column) for column in columns)


@pytest.mark.once
@pytest.mark.parametrize("what", ["change", "delete"])
def test_an_event_can_be_neither_changed_nor_deleted_in_the_admin(
    root: HttpClient, event: AuditEvent, what: str
) -> None:
    answer = root.post(f"{AUDIT}{event.pk}/{what}/", {"post": "yes", "action": "nothing", "reason": "mine"})

    assert answer.status_code == 403
    assert is_untouched(event)


@pytest.mark.once
def test_no_event_can_be_made_by_hand(root: HttpClient) -> None:
    assert root.get(f"{AUDIT}add/").status_code == 403
    assert root.post(f"{AUDIT}add/", {"action": "made.up"}).status_code == 403


@pytest.mark.once
def test_events_can_not_be_deleted_by_an_action(root: HttpClient, event: AuditEvent) -> None:
    root.post(AUDIT, {"action": "delete_selected", "post": "yes", "_selected_action": [event.pk]})

    assert is_untouched(event)


@pytest.mark.parametrize(
    "change",
    [
        lambda event: AuditEvent.objects.filter(pk=event.pk).update(action="x"),
        lambda event: AuditEvent.objects.all().delete(),
        lambda event: AuditEvent.objects.bulk_update([event], ["action"]),
        lambda event: AuditEvent.objects.update_or_create(pk=event.pk, defaults={"action": "x"}),
        lambda event: event.save(),
        lambda event: event.save(force_update=True),
        lambda event: event.delete(),
        lambda event: AuditEvent(pk=event.pk, action="x").save(),
    ],
    ids=["update", "delete", "bulk_update", "update_or_create", "save", "force_update", "instance_delete", "same_pk"],
)
def test_an_event_can_be_neither_changed_nor_deleted_in_code(
    event: AuditEvent, change: Callable[[AuditEvent], Any]
) -> None:
    with pytest.raises(AppendOnlyError), transaction.atomic():
        change(event)

    assert is_untouched(event)


# --- reading it ---


@pytest.mark.once
@pytest.mark.parametrize("role", ["viewer", "finance", "catalog manager"])
def test_everybody_of_the_staff_may_read_the_audit(staff: Staff, event: AuditEvent, role: str) -> None:
    client = staff(role)

    assert read(client, AUDIT).rows[-1][1:] == ["system", "client.renamed", "Acme", "-"]
    assert "client.renamed" in read(client, f"{AUDIT}{event.pk}/change/").text


@pytest.mark.parametrize(("words", "found"), [("acme", 1), ("system", 1), ("nobody", 0)])
def test_the_audit_can_be_searched(root: HttpClient, event: AuditEvent, words: str, found: int) -> None:
    page = page_of(root.get(AUDIT, {"q": words}))

    assert len([cells for cells in page.rows if "client.renamed" in cells]) == found


@pytest.mark.once
def test_names_in_the_audit_are_text_and_never_markup(root: HttpClient) -> None:
    record(
        "<script>alert(1)</script>", [Change(Client.objects.create(name="<img src=x onerror=alert(2)>"))], actor=SYSTEM
    )

    page = read(root, AUDIT)

    assert [element.text for element in page.all("script") if "alert" in element.text] == []
    assert [element.tag for element in page.elements if "onerror" in element.attributes] == []
