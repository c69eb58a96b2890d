"""Webhooks: what they say, how they are signed, how they are delivered, and how that goes wrong."""

import time
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.sandbox.caller import FOX, Caller
from tests.sandbox.receiver import Delivery, Receiver


def hooked(fal: Caller, receiver: Receiver, given: Any = FOX, **effects: Any) -> dict[str, Any]:
    fal.sandbox.faults(jobs=[effects] if effects else [], webhook_retries=[0.02, 0.02, 0.02])
    return fal.submit(given=given, params={"fal_webhook": receiver.url})


def is_signed(fal: Caller, delivery: Delivery) -> bool:
    """The check that fal's documentation describes."""
    keys = fal.sandbox.client.get("/rest/.well-known/jwks.json").json()["keys"]
    names = ("request-id", "user-id", "timestamp")
    parts = [delivery.headers[f"x-fal-webhook-{name}"] for name in names] + [sha256(delivery.raw).hexdigest()]
    signature = bytes.fromhex(delivery.headers["x-fal-webhook-signature"])
    for key in keys:
        raw = urlsafe_b64decode(key["x"] + "=" * (-len(key["x"]) % 4))
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, "\n".join(parts).encode())
        except InvalidSignature:
            continue
        return True
    return False


def ended(fal: Caller, count: int) -> list[dict[str, Any]]:
    """The attempts once so many have been answered or have failed."""
    deadline = time.monotonic() + 10
    while sum(one["status"] is not None or one["error"] is not None for one in fal.sandbox.webhooks()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return fal.sandbox.webhooks()


def test_a_good_end_is_told_with_the_output(fal: Caller, receiver: Receiver) -> None:
    request = hooked(fal, receiver)
    body = receiver.wait(1)[0].body
    assert (body["request_id"], body["status"], body["error"]) == (request["request_id"], "OK", None)
    assert body["payload"] == fal.result(request).json()
    assert "units" not in str(body)


def test_a_bad_end_is_told_with_the_detail(fal: Caller, receiver: Receiver) -> None:
    hooked(fal, receiver, given={})
    body = receiver.wait(1)[0].body
    assert (body["status"], body["error"]) == ("ERROR", "Invalid status code: 422")
    assert body["payload"]["detail"][0]["type"] == "missing"


def test_an_output_that_is_no_json_is_ok_without_a_payload(fal: Caller, receiver: Receiver) -> None:
    request = hooked(fal, receiver, webhook_payload_error=True)
    body = receiver.wait(1)[0].body
    assert (body["status"], body["payload"]) == ("OK", None)
    assert body["payload_error"]
    assert fal.result(request).status_code == 200


def test_the_signature_holds_for_the_raw_body(fal: Caller, receiver: Receiver) -> None:
    hooked(fal, receiver)
    delivery = receiver.wait(1)[0]
    assert abs(int(delivery.headers["x-fal-webhook-timestamp"]) - delivery.at) < 5
    assert is_signed(fal, delivery)
    delivery.raw += b" "
    assert not is_signed(fal, delivery)


def test_a_webhook_can_be_forged(fal: Caller, receiver: Receiver) -> None:
    hooked(fal, receiver, webhook_forged=True)
    assert not is_signed(fal, receiver.wait(1)[0])


def test_a_webhook_can_be_signed_for_another_account(fal: Caller, receiver: Receiver) -> None:
    hooked(fal, receiver, webhook_account="somebody-else")
    delivery = receiver.wait(1)[0]
    assert delivery.headers["x-fal-webhook-user-id"] == "somebody-else"
    assert is_signed(fal, delivery)


def test_a_webhook_can_be_an_hour_old(fal: Caller, receiver: Receiver) -> None:
    hooked(fal, receiver, webhook_age=3600)
    delivery = receiver.wait(1)[0]
    assert delivery.at - int(delivery.headers["x-fal-webhook-timestamp"]) > 3590
    assert is_signed(fal, delivery)


def test_a_webhook_can_come_twice(fal: Caller, receiver: Receiver) -> None:
    request = hooked(fal, receiver, webhook_copies=2)
    assert [one.body["request_id"] for one in receiver.wait(2)] == [request["request_id"]] * 2


def test_a_webhook_can_be_late(fal: Caller, receiver: Receiver) -> None:
    request = hooked(fal, receiver, webhook_after=0.3)
    fal.wait(request)
    assert receiver.deliveries == []
    receiver.wait(1)


def test_a_webhook_can_be_lost_and_sent_by_hand(fal: Caller, receiver: Receiver) -> None:
    request = hooked(fal, receiver, webhook_lost=True)
    fal.wait(request)
    assert fal.sandbox.webhooks() == []
    fal.sandbox.move(request["request_id"], "webhook", webhook_forged=True)
    assert not is_signed(fal, receiver.wait(1)[0])


def test_webhooks_can_come_in_the_opposite_order(fal: Caller, receiver: Receiver) -> None:
    fal.sandbox.faults(webhook_shuffle=3)
    requests = []
    for _ in range(3):
        requests.append(hooked(fal, receiver)["request_id"])
        fal.wait(fal.submit())
    assert [one.body["request_id"] for one in receiver.wait(3)] == requests[::-1]


def test_a_failed_delivery_is_tried_again_with_a_signature_that_holds(fal: Caller, receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    hooked(fal, receiver)
    deliveries = receiver.wait(3)
    assert len({one.raw for one in deliveries}) == 1
    assert all(is_signed(fal, one) for one in deliveries)


def test_a_redirect_ends_the_delivery(fal: Caller, receiver: Receiver) -> None:
    receiver.statuses = [302]
    request = hooked(fal, receiver)
    receiver.wait(1)
    fal.sandbox.move(request["request_id"], "webhook")
    receiver.wait(2)
    assert [one["number"] for one in ended(fal, 2)] == [0, 0]


def test_an_address_where_nobody_listens_is_noted(fal: Caller, receiver: Receiver) -> None:
    fal.sandbox.faults(webhook_retries=[])
    request = fal.submit(params={"fal_webhook": "http://127.0.0.1:9/"})
    fal.wait(request)
    (attempt,) = ended(fal, 1)
    assert (attempt["status"], attempt["error"]) == (None, "ConnectionRefusedError")


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/", "nowhere", "http://127.0.0.1:x/", "http://127.0.0.1/a b"])
def test_an_address_that_is_none_is_noted(fal: Caller, address: str) -> None:
    fal.sandbox.faults(webhook_retries=[])
    fal.wait(fal.submit(params={"fal_webhook": address}))
    assert [one["error"] for one in ended(fal, 1)] == ["InvalidURL"]


def test_a_connection_that_was_closed_meanwhile_loses_nothing(fal: Caller, receiver: Receiver) -> None:
    for number in range(3):
        hooked(fal, receiver)
        receiver.wait(number + 1)
    assert [one["status"] for one in ended(fal, 3)] == [200, 200, 200]


def test_a_cancelled_request_has_no_webhook(fal: Caller, receiver: Receiver) -> None:
    fal.sandbox.faults(concurrency=0)
    request = fal.submit(params={"fal_webhook": receiver.url})
    fal.client.put(request["cancel_url"])
    fal.sandbox.faults(concurrency=5)
    other = fal.submit(params={"fal_webhook": receiver.url})
    assert [one.body["request_id"] for one in receiver.wait(1)] == [other["request_id"]]
