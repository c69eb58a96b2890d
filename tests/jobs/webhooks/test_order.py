"""Endpoints that ask for order: one delivery at a time, and none before the one ahead of it has ended."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.webhooks import sending
from jobs.webhooks.endpoints import change_endpoint, resend, send_test
from jobs.webhooks.fan_out import _Maker, fan_out
from jobs.webhooks.models import WebhookDelivery, WebhookEndpoint
from jobs.webhooks.sending import claim
from tests.jobs.webhooks.conftest import Listen, tell
from tests.sandbox.receiver import Receiver

pytestmark = pytest.mark.django_db
Work = Callable[[], None]
Status = WebhookDelivery.Status


def tell_numbers(endpoint: WebhookEndpoint, *numbers: int) -> None:
    for number in numbers:
        tell(endpoint.client_id, number=number)
    fan_out()


def make_due() -> None:
    WebhookDelivery.objects.filter(status=Status.PENDING).update(next_at=timezone.now())


def came(receiver: Receiver) -> list[int]:
    return [one.body["data"].get("number") for one in receiver.deliveries]


def numbers_of(attempts: list[sending.Attempt]) -> list[str]:
    return [attempt.body.decode().partition('"number":')[2][0] for attempt in attempts]


def test_deliveries_come_in_the_order_of_their_events(listen: Listen, receiver: Receiver, work: Work) -> None:
    tell_numbers(listen(ordered=True), *range(30))

    work()

    assert came(receiver) == list(range(30))


def test_only_the_first_is_attempted_at_a_time(listen: Listen) -> None:
    tell_numbers(listen(ordered=True), 1, 2, 3)

    assert numbers_of(claim(8, Counter())) == ["1"]
    assert claim(8, Counter()) == []


def test_what_fails_holds_back_all_after_it_until_it_is_taken(listen: Listen, receiver: Receiver, work: Work) -> None:
    receiver.statuses = [500, 500]
    tell_numbers(listen(ordered=True), 1, 2)

    work()
    assert came(receiver) == [1]
    for _ in range(2):
        make_due()
        work()

    assert came(receiver) == [1, 1, 1, 2]


def test_what_was_given_up_holds_back_nothing(listen: Listen, receiver: Receiver, work: Work) -> None:
    receiver.statuses = [500]
    tell_numbers(listen(ordered=True), 1, 2)
    first = WebhookDelivery.objects.order_by("place")[0]
    WebhookDelivery.objects.filter(pk=first.pk).update(give_up_at=timezone.now())

    work()

    first.refresh_from_db()
    assert (first.status, came(receiver)) == ("failed", [1, 2])


def test_a_killed_senders_delivery_is_still_the_first_after_its_lease(
    listen: Listen, receiver: Receiver, work: Work
) -> None:
    tell_numbers(listen(ordered=True), 1, 2)
    claim(1, Counter())
    work()
    assert came(receiver) == []

    make_due()
    work()

    assert came(receiver) == [1, 2]


def test_one_line_holds_back_no_other_endpoint(listen: Listen, receiver: Receiver, work: Work) -> None:
    stuck = listen(Client.objects.create(name="Stuck"), ordered=True)
    tell_numbers(stuck, 1, 2)
    claim(1, Counter())
    tell_numbers(listen(Client.objects.create(name="Other"), ordered=True), 7, 8)
    tell_numbers(listen(Client.objects.create(name="Third")), 9)

    work()

    assert sorted(came(receiver)) == [7, 8, 9]


def test_a_sender_that_saw_a_delivery_before_it_stood_in_line_gets_nothing(listen: Listen) -> None:
    endpoint = listen()
    tell_numbers(endpoint, 1, 2)
    second = sending._due(timezone.now(), [], 4)[1]
    change_endpoint(endpoint, {"ordered": True}, actor=SYSTEM)

    assert sending._claim(second, timezone.now()) is None


def test_asking_for_order_lines_up_what_waits(listen: Listen, receiver: Receiver, work: Work) -> None:
    endpoint = listen()
    tell_numbers(endpoint, 1, 2, 3)
    change_endpoint(endpoint, {"ordered": True}, actor=SYSTEM)
    tell_numbers(endpoint, 4)

    assert numbers_of(claim(8, Counter())) == ["1"]
    make_due()
    work()

    assert came(receiver) == [1, 2, 3, 4]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes an endpoint after a round has read it, and before the round has made anything."""

    def change(endpoint: WebhookEndpoint, **changes: Any) -> None:
        make = _Maker.make

        def changed(*args: Any) -> None:
            make(*args)
            change_endpoint(endpoint, changes, actor=SYSTEM)

        monkeypatch.setattr(_Maker, "make", changed)

    return change


def test_what_is_made_while_order_begins_stands_in_line(listen: Listen, meanwhile: Callable[..., None]) -> None:
    endpoint = listen()
    tell_numbers(endpoint, 1)
    meanwhile(endpoint, ordered=True)

    tell_numbers(endpoint, 2)

    assert list(WebhookDelivery.objects.order_by("place").values_list("place", flat=True)) == [1, 2]
    assert numbers_of(claim(8, Counter())) == ["1"]


def test_what_is_made_while_an_endpoint_is_switched_off_is_not_sent(
    listen: Listen, meanwhile: Callable[..., None]
) -> None:
    endpoint = listen()
    meanwhile(endpoint, is_active=False)

    tell_numbers(endpoint, 1)

    assert not WebhookDelivery.objects.exists()


def test_what_is_made_while_an_endpoint_moves_goes_to_its_new_address(
    listen: Listen, receiver: Receiver, meanwhile: Callable[..., None]
) -> None:
    endpoint = listen()
    meanwhile(endpoint, url=f"{receiver.url}/new")

    tell_numbers(endpoint, 1)

    assert WebhookDelivery.objects.get().url == f"{receiver.url}/new"


def test_without_order_again_all_that_waits_is_due(listen: Listen) -> None:
    endpoint = listen(ordered=True)
    tell_numbers(endpoint, 1, 2, 3)

    change_endpoint(endpoint, {"ordered": False}, actor=SYSTEM)

    assert len(claim(8, Counter())) == 3


def test_what_is_sent_again_comes_after_all_that_waits(listen: Listen, receiver: Receiver, work: Work) -> None:
    endpoint = listen(ordered=True)
    tell_numbers(endpoint, 1)
    work()
    tell_numbers(endpoint, 2, 3)

    resend(WebhookDelivery.objects.get(status=Status.DELIVERED), actor=SYSTEM)
    work()

    assert came(receiver) == [1, 2, 3, 1]


def test_a_test_event_does_not_stand_in_line(listen: Listen, receiver: Receiver, work: Work) -> None:
    endpoint = listen(ordered=True)
    tell_numbers(endpoint, 1)
    claim(1, Counter())

    send_test(endpoint)
    work()

    assert [one.body["type"] for one in receiver.deliveries] == ["webhook.test"]


def test_a_line_that_is_switched_off_and_on_begins_with_new_events(
    listen: Listen, receiver: Receiver, work: Work
) -> None:
    endpoint = listen(ordered=True)
    tell_numbers(endpoint, 1, 2)
    change_endpoint(endpoint, {"is_active": False}, actor=SYSTEM)
    change_endpoint(endpoint, {"is_active": True}, actor=SYSTEM)
    tell_numbers(endpoint, 3)

    work()

    assert came(receiver) == [3]


def test_places_go_on_growing_over_rounds_and_days(listen: Listen, work: Work) -> None:
    endpoint = listen(ordered=True)
    tell_numbers(endpoint, 1, 2)
    work()
    WebhookDelivery.objects.all().delete()
    tell_numbers(endpoint, 3)

    assert WebhookDelivery.objects.get().place == 3


def test_a_long_line_costs_no_more_queries_than_a_short_one(listen: Listen) -> None:
    counts = []
    for name, length in (("Short", 2), ("Long", 40)):
        WebhookDelivery.objects.all().delete()
        tell_numbers(listen(Client.objects.create(name=name), ordered=True), *range(length))
        with CaptureQueriesContext(connection) as queries:
            assert len(claim(8, Counter())) == 1
        counts.append(len(queries))

    assert counts[0] == counts[1]
