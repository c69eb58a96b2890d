"""The audit: who did what, only ever added to."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction

from genfeed.clients.models import Client
from genfeed.journal import request_ids
from genfeed.journal.audit import SYSTEM, Actor, Change, record
from genfeed.journal.models import AppendOnlyError, AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Client:
    return Client.objects.create(name="Acme")


@pytest.fixture
def event(acme: Client) -> AuditEvent:
    record("client.renamed", [Change(acme, {"name": "Acme"}, {"name": "Apex"})], actor=SYSTEM)
    return AuditEvent.objects.get()


def test_an_event_tells_who_did_what_to_which_object(acme: Client) -> None:
    root = User.objects.create_user("root")
    request_ids.begin("req-of-the-test")

    written = record(
        "client.renamed",
        [Change(acme, {"name": "Acme"}, {"name": "Apex"})],
        actor=Actor.of(root),
        reason="They asked.",
    )

    assert written == 1
    event = AuditEvent.objects.get()
    assert (event.actor, event.actor_name, event.action) == (root, "root", "client.renamed")
    assert (event.object_type, event.object_id, event.object_name) == ("clients.client", str(acme.pk), "Acme")
    assert (event.before, event.after, event.reason) == ({"name": "Acme"}, {"name": "Apex"}, "They asked.")
    assert event.request_id == "req-of-the-test"


def test_many_changes_are_written_in_two_statements(django_assert_num_queries: Any) -> None:
    clients = Client.objects.bulk_create(Client(name=f"Client {number}") for number in range(600))

    with django_assert_num_queries(2):
        written = record("client.renamed", [Change(client) for client in clients], actor=SYSTEM)

    assert written == AuditEvent.objects.count() == 600


def test_no_change_writes_no_event() -> None:
    assert record("client.renamed", [], actor=SYSTEM) == 0
    assert AuditEvent.objects.count() == 0


def test_the_name_of_an_actor_outlives_the_account(acme: Client) -> None:
    root = User.objects.create_user("root")
    record("client.renamed", [Change(acme)], actor=Actor.of(root))

    root.delete()

    event = AuditEvent.objects.get()
    assert (event.actor, event.actor_name) == (None, "root")


def test_somebody_who_is_not_logged_in_is_called_anonymous() -> None:
    assert Actor.of(AnonymousUser()) == Actor(name="anonymous", user=None)


def test_long_texts_are_cut_instead_of_failing(acme: Client) -> None:
    record("client.renamed", [Change(acme)], actor=Actor(name="a" * 300), reason="b" * 600)

    event = AuditEvent.objects.get()
    assert (len(event.actor_name), len(event.reason)) == (200, 500)


def test_an_event_can_not_be_changed(event: AuditEvent) -> None:
    event.action = "nothing.happened"

    with pytest.raises(AppendOnlyError):
        event.save()

    event.refresh_from_db()
    assert event.action == "client.renamed"


def test_an_event_can_not_be_deleted(event: AuditEvent) -> None:
    with pytest.raises(AppendOnlyError):
        event.delete()

    assert AuditEvent.objects.count() == 1


def test_events_can_not_be_changed_in_bulk(event: AuditEvent) -> None:
    with pytest.raises(AppendOnlyError):
        AuditEvent.objects.filter(pk=event.pk).update(action="nothing.happened")
    with pytest.raises(AppendOnlyError), transaction.atomic():
        AuditEvent.objects.bulk_update([event], ["action"])

    event.refresh_from_db()
    assert event.action == "client.renamed"


def test_events_can_not_be_deleted_in_bulk(event: AuditEvent) -> None:
    with pytest.raises(AppendOnlyError):
        AuditEvent.objects.filter(pk=event.pk).delete()

    assert AuditEvent.objects.count() == 1


def test_the_newest_event_comes_first(acme: Client) -> None:
    record("client.renamed", [Change(acme)], actor=SYSTEM)
    record("client.closed", [Change(acme)], actor=SYSTEM)

    assert list(AuditEvent.objects.values_list("action", flat=True)) == ["client.closed", "client.renamed"]
