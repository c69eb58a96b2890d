"""Clients are mailed what concerns their money and keys: once each, and again later when it could not be sent."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from django_q.models import Schedule

from genfeed.clients import mails, tasks
from genfeed.clients.keys import create_key
from genfeed.clients.models import ApiKey, Client, ClientMail
from genfeed.clients.rotation import remind_of_rotation
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import OutboxEvent

pytestmark = pytest.mark.django_db

LOW = {"available": "0.5", "held": "0.25", "threshold": "1", "currency": "USD"}


@pytest.fixture(autouse=True)
def mailing(settings: Any) -> None:
    settings.SENDS_MAIL = True


def make_client(name: str = "Acme", email: str = "ops@acme.example", **columns: Any) -> Client:
    return Client.objects.create(name=name, email=email, **columns)


def tell(client: Client, kind: str = "balance.low", **payload: Any) -> OutboxEvent:
    return OutboxEvent.objects.create(kind=kind, subject="x", client_id=client.pk, payload=payload or LOW)


def test_a_low_balance_is_mailed_to_the_client() -> None:
    tell(make_client())

    assert tasks.mail_clients() == 1

    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["ops@acme.example"], "Your balance is below 1 USD")
    assert "0.5 USD are left" in sent.body


def test_a_budgets_threshold_is_mailed() -> None:
    said = {"budget": 1, "description": "monthly budget\nof all", "threshold": 80, "limit": "10", "spent": "8"}
    tell(make_client(), "budget.threshold_reached", **said, currency="USD", hard=True, resets_at=None)

    mails.mail_clients()

    assert mail.outbox[0].subject == "80 % of a budget are spent: monthly budget of all"
    assert "Requests over it are refused." in mail.outbox[0].body


def test_an_old_key_is_mailed_when_staff_are_told() -> None:
    key, text = create_key(make_client(), actor=SYSTEM, scopes=["models:read"], name="shop")
    ApiKey.objects.update(created_at=timezone.now() - timedelta(days=91))
    remind_of_rotation()

    mails.mail_clients()

    assert f"POST /api/v1/keys/{key.public_id}/rotate" in mail.outbox[0].body
    assert text not in mail.outbox[0].body + mail.outbox[0].subject


def test_each_event_is_mailed_once() -> None:
    tell(make_client())

    assert [mails.mail_clients() for _ in range(3)] == [1, 0, 0]


def test_clients_without_an_address_and_inactive_ones_get_none() -> None:
    tell(make_client("No address", email=""))
    tell(make_client("Gone", is_active=False))

    assert (mails.mail_clients(), mail.outbox) == (0, [])


def test_other_events_and_old_ones_are_not_mailed() -> None:
    client = make_client()
    tell(client, "job.succeeded")
    old = tell(client)
    OutboxEvent.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))

    assert (mails.mail_clients(), mail.outbox) == (0, [])


def test_a_mail_that_fails_is_tried_again_later_and_given_up_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_message: Any) -> None:
        raise OSError("smtp://user:hunter2@mail")

    event = tell(make_client())
    with monkeypatch.context() as broken:
        broken.setattr(mails.EmailMessage, "send", fail)
        assert mails.mail_clients() == 0
        row = ClientMail.objects.get()
        assert (row.attempts, row.error) == (1, "OSError")
        assert row.next_at is not None
        assert row.next_at > timezone.now()
        OutboxEvent.objects.filter(pk=event.pk).update(created_at=timezone.now() - timedelta(hours=24))
        ClientMail.objects.update(next_at=timezone.now())
        mails.mail_clients()

    assert (ClientMail.objects.get().next_at, mails.mail_clients(), mail.outbox) == (None, 0, [])


def test_two_workers_do_not_mail_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(make_client())
    send = mails.EmailMessage.send

    def send_while_another_looks(message: Any) -> int:
        monkeypatch.setattr(mails.EmailMessage, "send", send)
        assert mails.mail_clients() == 0
        return send(message)

    monkeypatch.setattr(mails.EmailMessage, "send", send_while_another_looks)

    assert (mails.mail_clients(), len(mail.outbox)) == (1, 1)


def test_without_mail_nothing_is_gathered(settings: Any) -> None:
    settings.SENDS_MAIL = False
    tell(make_client())

    assert (mails.mail_clients(), ClientMail.objects.count()) == (0, 0)


def test_it_runs_every_minute() -> None:
    schedule = Schedule.objects.get(func="genfeed.clients.tasks.mail_clients")
    assert (schedule.schedule_type, schedule.minutes) == ("I", 1)
