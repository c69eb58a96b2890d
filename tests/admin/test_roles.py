"""The roles that a migration makes, and what each of them may do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client as HttpClient
from django_q.models import Schedule

from catalog.models import AIModel, SyncRun
from genfeed.clients.keys import create_key
from genfeed.clients.models import ApiKey, Client
from genfeed.journal.alerts import raise_alert
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, AuditEvent
from tests.admin.pages import read
from tests.factories import make_model, make_provider

pytestmark = [pytest.mark.django_db, pytest.mark.once]

Staff = Callable[[str], HttpClient]
ROLES = ["viewer", "catalog manager", "finance", "superuser"]
VIEW_PRICES = {
    f"pricing.view_{name}"
    for name in (
        "pricepoint", "pricerule", "modelpricing", "marginrule", "existingmodel", "calibration", "usagerecord",
        "providerestimate", "sellingprice", "equivalence", "account", "ledgertransaction", "hold", "budget",
        "budgetperiod", "bill", "billingevent", "reconciliationrun", "recommendation", "enablementpolicy",
    )
}  # fmt: skip
DECIDE_PRICES = {
    "pricing.decide_price", "pricing.decide_rule", "pricing.decide_existing", "pricing.add_pricerule",
    "pricing.change_pricerule", "pricing.add_calibration", "pricing.change_calibration",
}  # fmt: skip
VIEW = VIEW_PRICES | {
    "catalog.view_provider",
    "catalog.view_aimodel",
    "catalog.view_schemaversion",
    "catalog.view_syncrun",
    "journal.view_alert",
    "journal.view_auditevent",
    "journal.view_outboxevent",
    "clients.view_client",
    "jobs.view_job",
    "jobs.view_asset",
    "jobs.view_batch",
    "jobs.view_workflowrun",
    "jobs.view_webhookendpoint",
    "jobs.view_webhookdelivery",
}
PERMISSIONS = {
    "viewer": VIEW,
    "catalog manager": VIEW
    | DECIDE_PRICES
    | {"catalog.switch_aimodel", "catalog.sync_provider", "journal.change_alert"}
    | {"catalog.add_aimodel", "catalog.change_aimodel", "catalog.delete_aimodel"}
    | {"jobs.cancel_job", "jobs.retry_job", "jobs.change_providergate", "jobs.resend_webhook"}
    | {"jobs.refetch_asset", "jobs.expire_asset"},
    "finance": VIEW
    | DECIDE_PRICES
    | {
        "pricing.add_marginrule",
        "pricing.change_marginrule",
        "pricing.move_money",
        "pricing.run_policy",
        "pricing.change_account",
        "pricing.add_budget",
        "pricing.change_budget",
        "clients.add_client",
        "clients.change_client",
        "clients.view_apikey",
        "clients.add_apikey",
        "clients.change_apikey",
        "journal.change_alert",
        "jobs.cancel_job",
        "jobs.refund_job",
        "jobs.resend_webhook",
    },
}
LISTS = {
    "/admin/catalog/aimodel/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/catalog/provider/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/catalog/syncrun/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/journal/alert/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/journal/auditevent/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/journal/outboxevent/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/jobs/asset/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/jobs/job/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/jobs/workflowrun/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/jobs/webhookendpoint/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/jobs/webhookdelivery/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/journal/noticechannel/": {"superuser"},
    "/admin/jobs/queue/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/clients/client/": {"viewer", "catalog manager", "finance", "superuser"},
    "/admin/clients/apikey/": {"finance", "superuser"},
    "/admin/auth/user/": {"superuser"},
    "/admin/auth/group/": {"superuser"},
    "/admin/django_q/schedule/": {"superuser"},
    "/admin/django_q/success/": {"superuser"},
    "/admin/django_q/failure/": {"superuser"},
    "/admin/django_q/ormq/": {"superuser"},
}


# --- what the migration makes ---


def test_the_migration_makes_the_three_roles() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == {"viewer", "catalog manager", "finance"}


@pytest.mark.parametrize("role", PERMISSIONS)
def test_a_role_has_exactly_its_permissions(role: str) -> None:
    granted = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")

    assert {f"{label}.{codename}" for label, codename in granted} == PERMISSIONS[role]


def test_the_migration_makes_one_schedule_every_six_hours() -> None:
    schedule = Schedule.objects.get(func="catalog.tasks.sync_all")

    assert (schedule.schedule_type, schedule.cron, schedule.repeats) == ("C", "0 */6 * * *", -1)
    assert (schedule.next_run.hour % 6, schedule.next_run.minute) == (0, 0)


# --- what each role sees ---


@pytest.mark.parametrize("role", ROLES)
def test_a_role_sees_exactly_its_lists(staff: Staff, role: str) -> None:
    client = staff(role)

    assert {address: client.get(address).status_code for address in LISTS} == {
        address: 200 if role in allowed else 403 for address, allowed in LISTS.items()
    }


@pytest.mark.parametrize("role", ROLES)
def test_the_start_page_links_only_to_what_a_role_may_see(staff: Staff, role: str) -> None:
    links = {link.attributes["href"] for link in read(staff(role), "/admin/").all("a")}

    assert links & set(LISTS) == {address for address, allowed in LISTS.items() if role in allowed}


def test_staff_without_a_role_sees_nothing_of_the_catalog(staff: Staff) -> None:
    row = make_model()
    client = HttpClient()
    client.force_login(User.objects.create_user("newcomer", is_staff=True))
    page = f"/admin/catalog/aimodel/{row.pk}"

    addresses = [*LISTS, f"{page}/change/", f"{page}/schema/1/", f"/admin/catalog/provider/{row.provider_id}/progress/"]

    assert {client.get(address).status_code for address in addresses} == {403}


def test_a_user_who_is_no_staff_is_led_to_the_login() -> None:
    client = HttpClient()
    client.force_login(User.objects.create_user("customer"))

    assert {client.get(address).status_code for address in ("/admin/", *LISTS)} == {302}


# --- what each role may do ---


def switch_one(client: HttpClient) -> bool:
    row = make_model()
    client.post(f"/admin/catalog/aimodel/{row.pk}/toggle/", {"on": "0"})
    return AIModel.objects.filter(enabled=False).exists()


def switch_many(client: HttpClient) -> bool:
    row = make_model()
    client.post("/admin/catalog/aimodel/", {"action": "disable", "index": "0", "_selected_action": [row.pk]})
    return AIModel.objects.filter(enabled=False).exists()


def sync_now(client: HttpClient) -> bool:
    client.post(f"/admin/catalog/provider/{make_provider().pk}/sync/")
    return SyncRun.objects.exists()


def check_the_key(client: HttpClient) -> bool:
    provider = make_provider()
    client.post(f"/admin/catalog/provider/{provider.pk}/check-key/")
    provider.refresh_from_db()
    return provider.key_checked_at is not None


def acknowledge_an_alert(client: HttpClient) -> bool:
    raise_alert("sync_failed", "fal", "The sync failed")
    alert = Alert.objects.get()
    client.post("/admin/journal/alert/", {"action": "acknowledge", "index": "0", "_selected_action": [alert.pk]})
    return Alert.objects.filter(acknowledged_at=None).count() == 0


def add_a_client(client: HttpClient) -> bool:
    client.post("/admin/clients/client/add/", {"name": "Acme", "is_active": "on"})
    return Client.objects.exists()


def make_a_key(client: HttpClient) -> bool:
    acme = Client.objects.create(name="Acme")
    client.post("/admin/clients/apikey/add/", {"client": acme.pk, "name": "web", "scopes": ["models:read"]})
    return ApiKey.objects.exists()


def revoke_a_key(client: HttpClient) -> bool:
    key, _ = create_key(Client.objects.create(name="Acme"), actor=SYSTEM)
    client.post("/admin/clients/apikey/", {"action": "revoke", "index": "0", "_selected_action": [key.pk]})
    return ApiKey.objects.exclude(revoked_at=None).exists()


def add_a_user(client: HttpClient) -> bool:
    secret = {"password1": "a long pass phrase 7", "password2": "a long pass phrase 7", "usable_password": "true"}
    client.post("/admin/auth/user/add/", {"username": "eve", **secret})
    return User.objects.filter(username="eve").exists()


def rename_a_group(client: HttpClient) -> bool:
    group = Group.objects.get(name="viewer")
    client.post(f"/admin/auth/group/{group.pk}/change/", {"name": "onlooker"})
    return Group.objects.filter(name="onlooker").exists()


def add_a_schedule(client: HttpClient) -> bool:
    data = {"func": "catalog.tasks.sync_all", "schedule_type": "O", "repeats": "1", "next_run_0": "2030-01-01"}
    client.post("/admin/django_q/schedule/add/", data | {"next_run_1": "00:00:00"})
    return Schedule.objects.filter(func="catalog.tasks.sync_all").count() > 1


ACTIONS: dict[Callable[[HttpClient], bool], set[str]] = {
    switch_one: {"catalog manager", "superuser"},
    switch_many: {"catalog manager", "superuser"},
    sync_now: {"catalog manager", "superuser"},
    check_the_key: {"catalog manager", "superuser"},
    acknowledge_an_alert: {"catalog manager", "finance", "superuser"},
    add_a_client: {"finance", "superuser"},
    make_a_key: {"finance", "superuser"},
    revoke_a_key: {"finance", "superuser"},
    add_a_user: {"superuser"},
    rename_a_group: {"superuser"},
    add_a_schedule: {"superuser"},
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("act", ACTIONS, ids=lambda act: act.__name__)
def test_only_some_roles_may(staff: Staff, act: Callable[[HttpClient], bool], role: str) -> None:
    assert act(staff(role)) is (role in ACTIONS[act])


@pytest.mark.parametrize("act", ACTIONS, ids=lambda act: act.__name__)
def test_who_is_not_logged_in_may_do_nothing(client: HttpClient, act: Callable[[HttpClient], bool]) -> None:
    assert act(client) is False


@pytest.mark.parametrize("role", ["viewer", "catalog manager", "finance"])
def test_what_is_refused_leaves_no_trace_in_the_audit(staff: Staff, role: str) -> None:
    client = staff(role)
    refused = [act for act, allowed in ACTIONS.items() if role not in allowed and act is not revoke_a_key]

    for act in refused:
        AIModel.objects.all().delete()
        Client.objects.all().delete()
        act(client)

    assert AuditEvent.objects.count() == 0


def test_a_catalog_manager_can_not_make_somebody_a_superuser(staff: Staff) -> None:
    client = staff("catalog manager")
    user = User.objects.get(username="a catalog manager")

    answer: Any = client.post(f"/admin/auth/user/{user.pk}/change/", {"username": user.username, "is_superuser": "on"})

    assert answer.status_code == 403
    user.refresh_from_db()
    assert not user.is_superuser
