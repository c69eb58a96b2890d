"""Alerts: one live alert a subject, counted, acknowledged by a person and resolved by the end of its cause."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from genfeed.journal import alerts
from genfeed.journal.alerts import acknowledge, raise_alert, resolve
from genfeed.journal.audit import SYSTEM, Actor
from genfeed.journal.models import Alert, AuditEvent

pytestmark = pytest.mark.django_db


def test_an_alert_says_what_it_is_about() -> None:
    raise_alert("sync_failed", "fal", "The sync failed", "503", level=Alert.Level.CRITICAL, url="/admin/")

    alert = Alert.objects.get()
    assert (alert.code, alert.subject, alert.title, alert.text) == ("sync_failed", "fal", "The sync failed", "503")
    assert (alert.level, alert.url, alert.times, alert.acknowledged_at) == ("critical", "/admin/", 1, None)


def test_a_second_occurrence_is_counted_on_the_open_alert() -> None:
    raise_alert("sync_failed", "fal", "The sync failed", "503")
    first = Alert.objects.get()

    raise_alert("sync_failed", "fal", "The sync failed again", "502", level=Alert.Level.CRITICAL)

    alert = Alert.objects.get()
    assert (alert.pk, alert.times) == (first.pk, 2)
    assert (alert.title, alert.text, alert.level) == ("The sync failed again", "502", "critical")
    assert alert.created_at == first.created_at
    assert alert.last_seen_at > first.last_seen_at


def test_other_codes_and_other_subjects_are_alerts_of_their_own() -> None:
    raise_alert("sync_failed", "fal", "a")
    raise_alert("sync_failed", "replicate", "b")
    raise_alert("schema_breaking", "fal", "c")

    assert Alert.objects.count() == 3
    assert set(Alert.objects.values_list("times", flat=True)) == {1}


def test_the_database_allows_one_open_alert_a_subject() -> None:
    raise_alert("sync_failed", "fal", "a")

    with pytest.raises(IntegrityError), transaction.atomic():
        Alert.objects.create(code="sync_failed", subject="fal", title="b")


def test_an_alert_that_another_process_opens_in_the_same_moment_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    atomic = transaction.atomic

    def atomic_after_the_other() -> Any:
        monkeypatch.setattr(alerts.transaction, "atomic", atomic)
        Alert.objects.create(code="sync_failed", subject="fal", title="theirs")
        return atomic()

    monkeypatch.setattr(alerts.transaction, "atomic", atomic_after_the_other)

    raise_alert("sync_failed", "fal", "ours")

    alert = Alert.objects.get()
    assert (alert.title, alert.times) == ("ours", 2)


def test_an_alert_is_resolved_when_its_cause_is_gone() -> None:
    raise_alert("sync_failed", "fal", "a")
    raise_alert("sync_failed", "replicate", "b")

    assert resolve("sync_failed", "fal") is True

    fal, replicate = Alert.objects.get(subject="fal"), Alert.objects.get(subject="replicate")
    assert (fal.state, fal.acknowledged_at, replicate.state) == ("resolved", None, "open")


def test_resolving_what_is_not_open_does_nothing() -> None:
    assert resolve("sync_failed", "fal") is False
    assert Alert.objects.count() == 0


def test_after_it_was_resolved_the_same_trouble_opens_a_new_alert() -> None:
    raise_alert("sync_failed", "fal", "a")
    resolve("sync_failed", "fal")

    raise_alert("sync_failed", "fal", "b")

    assert Alert.objects.count() == 2
    assert Alert.objects.get(resolved_at=None).times == 1


def test_an_alert_is_acknowledged_once() -> None:
    raise_alert("sync_failed", "fal", "a")
    alert = Alert.objects.get()
    root, other = User.objects.create_user("root"), User.objects.create_user("other")

    assert acknowledge(alert, actor=Actor.of(root)) is True
    assert acknowledge(alert, actor=Actor.of(other)) is False

    alert.refresh_from_db()
    assert alert.acknowledged_by == root
    events = AuditEvent.objects.values_list("action", "actor_name", "object_id")
    assert list(events) == [("alert.acknowledged", "root", str(alert.pk))]


def acknowledged(**ages: timedelta) -> Alert:
    """An alert that somebody knows of; `ages` of its columns."""
    raise_alert("sync_failed", "fal", "a")
    acknowledge(Alert.objects.get(), actor=SYSTEM)
    Alert.objects.update(**{name: timezone.now() - age for name, age in ages.items()})
    return Alert.objects.get()


def test_an_acknowledged_alert_counts_on_until_its_cause_is_gone() -> None:
    alert = acknowledged()

    raise_alert("sync_failed", "fal", "a")
    alert.refresh_from_db()
    assert (alert.state, alert.times) == ("acknowledged", 2)

    assert resolve("sync_failed", "fal") is True
    alert.refresh_from_db()
    assert (alert.state, alert.acknowledged_at is not None) == ("resolved", True)


def test_an_acknowledged_alert_that_becomes_worse_is_open_again() -> None:
    acknowledged()

    raise_alert("sync_failed", "fal", "worse", level=Alert.Level.CRITICAL)

    alert = Alert.objects.get()
    assert (alert.state, alert.times, alert.level) == ("open", 2, "critical")


def test_what_was_acknowledged_and_quiet_for_a_day_is_news_when_it_comes_again() -> None:
    acknowledged(last_seen_at=timedelta(hours=25))

    raise_alert("sync_failed", "fal", "again")

    assert [(alert.state, alert.times) for alert in Alert.objects.order_by("pk")] == [("resolved", 1), ("open", 1)]


def test_what_is_open_is_counted_however_long_it_was_quiet() -> None:
    raise_alert("sync_failed", "fal", "a")
    Alert.objects.update(last_seen_at=timezone.now() - timedelta(days=9))

    raise_alert("sync_failed", "fal", "again")

    assert Alert.objects.get().times == 2


def test_a_resolved_alert_is_not_acknowledged_afterwards() -> None:
    raise_alert("sync_failed", "fal", "a")
    resolve("sync_failed", "fal")

    assert acknowledge(Alert.objects.get(), actor=SYSTEM) is False
    assert AuditEvent.objects.count() == 0


def test_long_subjects_and_titles_are_cut_the_same_way_each_time() -> None:
    raise_alert("sync_failed", "s" * 400, "t" * 400)
    raise_alert("sync_failed", "s" * 400, "t" * 400)

    alert = Alert.objects.get()
    assert (len(alert.subject), len(alert.title), alert.times) == (300, 300, 2)
    assert resolve("sync_failed", "s" * 400) is True
