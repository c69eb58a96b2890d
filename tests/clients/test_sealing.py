"""Secrets in the database: encrypted, and readable while the keys that sealed them change."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from genfeed.clients.sealing import CannotUnsealError, seal, unseal

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_a_key_that_is_put_before_the_old_one_seals_and_both_open(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = OLD
    before = seal("a secret")

    settings.ENCRYPTION_KEYS = f"{NEW},{OLD}"
    after = seal("a secret")

    assert (unseal(before), unseal(after)) == ("a secret", "a secret")
    settings.ENCRYPTION_KEYS = NEW
    assert unseal(after) == "a secret"
    with pytest.raises(CannotUnsealError):
        unseal(before)


def test_what_is_sealed_does_not_show_its_text() -> None:
    assert "a secret" not in seal("a secret")
