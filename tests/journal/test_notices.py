"""Staff are told of alerts: once, by every channel that is configured, again when a channel failed."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from django_q.models import Schedule

from genfeed.journal import notices, tasks
from genfeed.journal.alerts import acknowledge, raise_alert, resolve
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, NoticeChannel
from genfeed.net.signing import new_secret, signed_headers
from tests.sandbox.receiver import Receiver

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailing(settings: Any) -> None:
    settings.SENDS_MAIL, settings.ALERT_EMAILS = True, ["ops@example.com"]
    settings.PUBLIC_URL = "https://media.example.com"


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with Receiver() as one:
        settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_SECRET = one.url, new_secret()
        yield one


def later(by: timedelta) -> None:
    """As if that much time had passed for the channels."""
    for row in NoticeChannel.objects.all():
        NoticeChannel.objects.filter(pk=row.pk).update(next_at=row.next_at - by, digest_at=row.digest_at - by)


def test_a_new_alert_is_mailed_with_what_to_do_and_where(mailing: None) -> None:
    raise_alert("sync_failed", "fal", "The sync failed", "Look at the key.", url="/admin/catalog/provider/1/change/")

    assert tasks.tell_staff() == 1

    (sent,) = mail.outbox
    assert (sent.subject, sent.to) == ("[GenFeed] warning: The sync failed", ["ops@example.com"])
    assert "Look at the key.\nhttps://media.example.com/admin/catalog/provider/1/change/" in sent.body


def test_an_alert_is_told_once_however_often_it_comes(mailing: None) -> None:
    raise_alert("sync_failed", "fal", "The sync failed")
    notices.tell_staff()
    raise_alert("sync_failed", "fal", "The sync failed")
    later(timedelta(minutes=10))

    notices.tell_staff()

    assert len(mail.outbox) == 1


def test_repeated_alerts_are_counted_once_a_day(mailing: None) -> None:
    raise_alert("sync_failed", "fal", "The sync failed")
    notices.tell_staff()
    for _ in range(3):
        raise_alert("sync_failed", "fal", "The sync failed")
    later(timedelta(days=1, minutes=1))

    notices.tell_staff()
    later(timedelta(days=1, minutes=1))
    notices.tell_staff()

    assert len(mail.outbox) == 2
    assert "The sync failed: 4 times" in mail.outbox[1].body


def test_what_is_acknowledged_resolved_or_too_mild_is_not_told(mailing: None) -> None:
    raise_alert("a", "known", "Known")
    acknowledge(Alert.objects.get(), actor=SYSTEM)
    raise_alert("a", "over", "Over")
    resolve("a", "over")
    raise_alert("a", "mild", "Mild", level=Alert.Level.INFO)

    assert (notices.tell_staff(), mail.outbox) == (0, [])


def test_several_alerts_are_one_mail_that_names_the_worst(mailing: None) -> None:
    raise_alert("a", "1", "Not so bad")
    raise_alert("b", "2", "Very bad\nindeed", level=Alert.Level.CRITICAL)

    notices.tell_staff()

    assert [sent.subject for sent in mail.outbox] == ["[GenFeed] critical: Very bad indeed (and 1 more)"]


def test_a_webhook_carries_the_alert_and_a_signature_that_fits(receiver: Receiver, settings: Any) -> None:
    raise_alert("provider_locked", "fal", "fal is locked", "Top up.", level=Alert.Level.CRITICAL)

    notices.tell_staff()

    (came,) = receiver.wait(1)
    (alert,) = came.body["data"]["new"]
    assert (alert["kind"], alert["level"], alert["title"]) == ("provider_locked", "critical", "fal is locked")
    at, message_id = int(came.headers["webhook-timestamp"]), came.headers["webhook-id"]
    expected = signed_headers([settings.ALERT_WEBHOOK_SECRET], message_id=message_id, at=at, body=came.raw)
    assert came.headers["webhook-signature"] == expected["webhook-signature"]


def test_a_receiver_that_fails_is_asked_again_later_with_the_same_id(receiver: Receiver) -> None:
    receiver.statuses = [500, 302]
    raise_alert("a", "1", "Bad")

    counts = []
    for wait in (1, 2, 0):
        counts.append(notices.tell_staff())
        assert notices.tell_staff() == 0
        later(timedelta(minutes=wait))

    assert counts == [0, 0, 1]
    assert len({came.headers["webhook-id"] for came in receiver.deliveries}) == 1
    assert NoticeChannel.objects.get().failures == 0


def test_one_channel_that_fails_does_not_hold_back_the_other(mailing: None, receiver: Receiver) -> None:
    receiver.statuses = [500]
    raise_alert("a", "1", "Bad")

    notices.tell_staff()

    assert len(mail.outbox) == 1
    assert NoticeChannel.objects.get(name="webhook").error == "the receiver answered 500"


def test_trouble_with_mail_is_noted_without_its_password(mailing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("smtp://user:hunter2@mail.example.com refused")

    monkeypatch.setattr(notices.EmailMessage, "send", fail)
    raise_alert("a", "1", "Bad")

    assert notices.tell_staff() == 0

    row = NoticeChannel.objects.get()
    assert (row.error, row.failures, Alert.objects.get().mailed_times) == ("OSError", 1, 0)
    assert row.next_at > timezone.now()


def test_two_workers_do_not_tell_the_same(mailing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_alert("a", "1", "Bad")
    send = notices.EmailMessage.send

    def send_while_another_looks(message: Any) -> int:
        monkeypatch.setattr(notices.EmailMessage, "send", send)
        assert notices.tell_staff() == 0
        return send(message)

    monkeypatch.setattr(notices.EmailMessage, "send", send_while_another_looks)

    assert notices.tell_staff() == 1
    assert len(mail.outbox) == 1


def test_nothing_is_sent_where_nothing_is_configured() -> None:
    raise_alert("a", "1", "Bad")

    assert (notices.tell_staff(), mail.outbox, NoticeChannel.objects.count()) == (0, [], 0)


def test_it_runs_every_minute() -> None:
    schedule = Schedule.objects.get(func="genfeed.journal.tasks.tell_staff")
    assert (schedule.schedule_type, schedule.minutes) == ("I", 1)
