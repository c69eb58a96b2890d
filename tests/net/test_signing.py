"""Signatures by the Standard Webhooks specification, against its published example."""

import base64

from genfeed.net.signing import new_secret, signed_headers

PUBLISHED = {
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "at": 1614265330,
    "body": b'{"test": 2432232314}',
    "signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def sign(*secrets: str) -> dict[str, str]:
    return signed_headers(secrets, message_id=PUBLISHED["id"], at=PUBLISHED["at"], body=PUBLISHED["body"])


def test_the_published_example_is_signed_as_published() -> None:
    assert sign(PUBLISHED["secret"]) == {
        "webhook-id": PUBLISHED["id"],
        "webhook-timestamp": "1614265330",
        "webhook-signature": PUBLISHED["signature"],
    }


def test_two_secrets_make_two_signatures() -> None:
    other = new_secret()

    first, second = sign(other, PUBLISHED["secret"])["webhook-signature"].split(" ")

    assert second == PUBLISHED["signature"]
    assert first == sign(other)["webhook-signature"] != second


def test_a_new_secret_is_32_random_bytes_with_the_prefix() -> None:
    secret = new_secret()

    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != new_secret()
