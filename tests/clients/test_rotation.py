"""Rotating keys: two work for a while, then one; and reminders of keys that are old."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import Schedule

from genfeed.clients import tasks
from genfeed.clients.keys import Bounds, create_key, find_caller, revoke_key
from genfeed.clients.models import ApiKey, Client
from genfeed.clients.rotation import CannotRotateError, rotate_key
from genfeed.journal.audit import SYSTEM, Actor
from genfeed.journal.models import Alert, AuditEvent, OutboxEvent

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
BOUNDS = Bounds(("a/*",), ("a/one",), 5, 50)


@pytest.fixture
def acme() -> Client:
    return Client.objects.create(name="Acme")


# --- rotating ---


def test_the_successor_is_as_the_old_key_was(acme: Client) -> None:
    end = timezone.now() + 100 * DAY
    old, _ = create_key(
        acme, actor=SYSTEM, name="Ключ 🔑", scopes=["models:read", "keys"], is_test=True, expires_at=end, bounds=BOUNDS
    )

    made, text = rotate_key(old, overlap=DAY, actor=Actor(name="root"))

    same = ("client_id", "name", "scopes", "is_test", "allowed_models", "denied_models", "jobs_per_minute",
            "reads_per_minute")  # fmt: skip
    assert {name: getattr(made, name) for name in same} == {name: getattr(old, name) for name in same}
    assert (made.expires_at, made.created_by, made.uses) == (end, "root", 0)
    caller = find_caller(text)
    assert caller
    assert caller.key_id == made.pk


def test_both_keys_work_until_the_overlap_is_over(acme: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    old, old_text = create_key(acme, actor=SYSTEM)
    _, new_text = rotate_key(old, overlap=DAY, actor=SYSTEM)

    assert find_caller(old_text)
    assert find_caller(new_text)
    tomorrow = timezone.now() + DAY
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)
    assert find_caller(old_text) is None
    assert find_caller(new_text)


def test_without_overlap_the_old_key_ends_at_once(acme: Client) -> None:
    old, text = create_key(acme, actor=SYSTEM)
    assert find_caller(text)

    rotate_key(old, overlap=timedelta(0), actor=SYSTEM)

    assert find_caller(text) is None


def test_a_rotated_key_never_lives_longer_than_it_would_have(acme: Client) -> None:
    end = timezone.now() + DAY
    old, _ = create_key(acme, actor=SYSTEM, expires_at=end)

    made, _ = rotate_key(old, overlap=30 * DAY, actor=SYSTEM)

    old.refresh_from_db()
    assert (old.expires_at, old.replaced_by) == (end, made)


def test_a_rotation_is_in_the_audit_with_both_ends(acme: Client) -> None:
    old, _ = create_key(acme, actor=SYSTEM)

    made, text = rotate_key(old, overlap=DAY, actor=Actor(name="root"))

    old.refresh_from_db()
    event = AuditEvent.objects.get(action="api_key.rotated")
    assert (event.actor_name, event.object_id, event.before) == ("root", str(old.pk), {"expires_at": None})
    assert event.after["replaced_by"] == str(made)
    assert event.after["expires_at"][:19] == f"{old.expires_at:%Y-%m-%dT%H:%M:%S}"
    assert text not in str(list(AuditEvent.objects.values()))


def refused(key: ApiKey, overlap: timedelta, words: str) -> None:
    before = list(ApiKey.objects.values())
    events = AuditEvent.objects.count()

    with pytest.raises(CannotRotateError, match=words):
        rotate_key(key, overlap=overlap, actor=SYSTEM)

    assert list(ApiKey.objects.values()) == before
    assert AuditEvent.objects.count() == events


@pytest.mark.once
@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), 30 * DAY + timedelta(seconds=1), timedelta.max])
def test_an_overlap_that_makes_no_sense_is_refused(acme: Client, overlap: timedelta) -> None:
    refused(create_key(acme, actor=SYSTEM)[0], overlap, r"^The overlap must be 0 to 30 days\.$")


def test_a_key_is_rotated_once(acme: Client) -> None:
    old, _ = create_key(acme, actor=SYSTEM)
    rotate_key(old, overlap=DAY, actor=SYSTEM)

    refused(old, DAY, "has been rotated already; rotate its successor instead")


def test_a_successor_can_be_rotated_in_turn(acme: Client) -> None:
    first, _ = create_key(acme, actor=SYSTEM)
    second, _ = rotate_key(first, overlap=DAY, actor=SYSTEM)

    third, text = rotate_key(second, overlap=DAY, actor=SYSTEM)

    assert find_caller(text)
    assert [key.replaced_by for key in ApiKey.objects.order_by("pk")] == [second, third, None]


@pytest.mark.parametrize(
    ("columns", "state"),
    [({"revoked_at": timezone.now()}, "revoked"), ({"expires_at": timezone.now() - DAY}, "expired")],
)
def test_a_key_that_ended_is_not_rotated(acme: Client, columns: dict[str, Any], state: str) -> None:
    key, _ = create_key(acme, actor=SYSTEM)
    ApiKey.objects.update(**columns)

    refused(key, DAY, f"is {state}; make a new one instead")


# --- reminders ---


def make_old(client: Client, days: float = 91, **columns: Any) -> ApiKey:
    key, _ = create_key(client, actor=SYSTEM, name="web")
    ApiKey.objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(days=days), **columns)
    key.refresh_from_db()
    return key


def open_alerts() -> list[str]:
    return list(Alert.objects.filter(code="key_rotation_due", resolved_at=None).values_list("title", flat=True))


def test_staff_and_client_are_told_of_an_old_key(acme: Client) -> None:
    key = make_old(acme)

    assert tasks.remind_of_rotation() == 1

    assert open_alerts() == [f"Acme: the key {key} is 91 days old"]
    event = OutboxEvent.objects.get()
    assert (event.kind, event.client_id, event.subject) == ("api_key.rotation_due", acme.pk, key.public_id)
    assert (event.payload["prefix"], event.payload["name"], event.payload["age_days"]) == (key.prefix, "web", 91)


def test_a_key_is_spoken_of_once(acme: Client) -> None:
    make_old(acme)

    assert [tasks.remind_of_rotation(), tasks.remind_of_rotation()] == [1, 0]
    assert (Alert.objects.get().times, OutboxEvent.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "columns",
    [{"days": 89.9}, {"revoked_at": timezone.now()}, {"expires_at": timezone.now() - DAY}],
)
def test_young_and_ended_keys_are_not_spoken_of(acme: Client, columns: dict[str, Any]) -> None:
    make_old(acme, **columns)

    assert tasks.remind_of_rotation() == 0
    assert (open_alerts(), OutboxEvent.objects.count()) == ([], 0)


def test_keys_of_an_inactive_client_are_not_spoken_of(acme: Client) -> None:
    make_old(acme)
    Client.objects.update(is_active=False)

    assert tasks.remind_of_rotation() == 0


def test_the_number_of_days_is_a_setting_and_zero_is_never(acme: Client, settings: Any) -> None:
    make_old(acme, days=10)

    settings.KEY_ROTATION_DAYS = 0
    assert tasks.remind_of_rotation() == 0
    settings.KEY_ROTATION_DAYS = 10
    assert tasks.remind_of_rotation() == 1


def test_rotating_closes_the_alert_and_counts_the_days_anew(acme: Client) -> None:
    key = make_old(acme)
    tasks.remind_of_rotation()

    rotate_key(key, overlap=DAY, actor=SYSTEM)

    assert open_alerts() == []
    assert tasks.remind_of_rotation() == 0


def test_revoking_closes_the_alert(acme: Client) -> None:
    key = make_old(acme)
    tasks.remind_of_rotation()

    revoke_key(key, actor=SYSTEM)

    assert open_alerts() == []


def test_the_alert_of_a_key_that_expired_is_closed_the_day_after(acme: Client) -> None:
    make_old(acme)
    tasks.remind_of_rotation()
    ApiKey.objects.update(expires_at=timezone.now() - DAY)

    tasks.remind_of_rotation()

    assert open_alerts() == []


def test_it_runs_once_a_day() -> None:
    assert Schedule.objects.get(func="genfeed.clients.tasks.remind_of_rotation").schedule_type == Schedule.DAILY
