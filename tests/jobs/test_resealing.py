"""Giving an encryption key up: what is kept is sealed with the next one before."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from genfeed.clients.models import ProviderKey
from genfeed.clients.sealing import seal, unseal
from jobs.webhooks.models import WebhookEndpoint, WebhookSecret
from tests.jobs.doubles import make_caller

pytestmark = pytest.mark.django_db

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def kept(settings: Any) -> None:
    """One secret of each kind, sealed with the old key; then a new one is put before it."""
    settings.ENCRYPTION_KEYS = OLD
    client = make_caller().client_id
    ProviderKey.objects.create(client_id=client, provider="fal", sealed=seal("a provider's key"), fingerprint="f")
    WebhookSecret.objects.create(client_id=client, secret=seal("of jobs"), previous_secret=seal("of jobs before"))
    WebhookEndpoint.objects.create(
        id="whe_1", client_id=client, url="https://a.example", events=[], secret=seal("of an endpoint")
    )
    settings.ENCRYPTION_KEYS = f"{NEW},{OLD}"


def opened() -> list[str]:
    jobs, endpoint = WebhookSecret.objects.get(), WebhookEndpoint.objects.get()
    assert endpoint.previous_secret == ""
    return [
        unseal(one) for one in (ProviderKey.objects.get().sealed, jobs.secret, jobs.previous_secret, endpoint.secret)
    ]


@pytest.mark.usefixtures("kept")
def test_the_old_key_can_be_given_up_once_all_is_sealed_with_the_new_one(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("reseal")
    settings.ENCRYPTION_KEYS = NEW

    assert opened() == ["a provider's key", "of jobs", "of jobs before", "of an endpoint"]
    call_command("reseal")
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["4 secrets", "0 secrets"]


@pytest.mark.usefixtures("kept")
def test_what_no_key_opens_is_named_and_the_rest_is_sealed(settings: Any) -> None:
    WebhookEndpoint.objects.update(secret=Fernet(Fernet.generate_key()).encrypt(b"lost").decode())

    with pytest.raises(CommandError, match=r"1 can't be read by any of the keys, the first is webhook endpoint whe_1"):
        call_command("reseal")

    settings.ENCRYPTION_KEYS = NEW
    assert unseal(ProviderKey.objects.get().sealed) == "a provider's key"
