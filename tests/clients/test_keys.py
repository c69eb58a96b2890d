"""API keys: what is stored of them, whom they speak for, and when they stop."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from genfeed.clients import keys
from genfeed.clients.keys import UnknownScopeError, check_scopes, create_key, digest_of, find_caller, revoke_key
from genfeed.clients.models import ApiKey, Client
from genfeed.journal.audit import SYSTEM, Actor
from genfeed.journal.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Client:
    return Client.objects.create(name="Acme")


class Clock:
    """Stands still until it is moved, for `time.monotonic` of the keys' cache and for the time of day."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = time.monotonic()
        self.now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
        monkeypatch.setattr(keys.time, "monotonic", lambda: self.seconds)
        monkeypatch.setattr(keys.timezone, "now", lambda: self.now)

    def move(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_key_begins_with_gf_and_carries_32_random_bytes(acme: Client) -> None:
    _, text = create_key(acme, actor=SYSTEM)

    assert text.startswith("gf_")
    assert not text.startswith("gf_test_")
    assert len(text.removeprefix("gf_")) == 43  # 32 bytes in base64


def test_a_test_key_says_so_at_its_beginning(acme: Client) -> None:
    row, text = create_key(acme, actor=SYSTEM, is_test=True)

    assert text.startswith("gf_test_")
    assert len(text.removeprefix("gf_test_")) == 43
    assert row.prefix == text[:14]
    assert find_caller(text).is_test is True


def test_two_keys_of_a_client_are_different(acme: Client) -> None:
    assert create_key(acme, actor=SYSTEM)[1] != create_key(acme, actor=SYSTEM)[1]


def test_only_prefix_and_digest_of_a_key_are_stored(acme: Client) -> None:
    row, text = create_key(acme, actor=SYSTEM)
    secret_part = text[len(row.prefix) :]

    assert row.prefix == text[:9]
    assert row.digest == digest_of(text)
    stored = ApiKey.objects.filter(pk=row.pk).values().get()
    assert not [column for column, value in stored.items() if secret_part in str(value)]


def test_the_audit_tells_of_a_new_key_without_its_text(acme: Client) -> None:
    row, text = create_key(acme, actor=Actor(name="root"), scopes=["admin"])

    event = AuditEvent.objects.get()
    assert (event.action, event.actor_name, event.object_id) == ("api_key.created", "root", str(row.pk))
    assert event.after == {"client": "Acme", "scopes": ["admin"]}
    assert text not in str(AuditEvent.objects.values().get())


def test_a_key_speaks_for_its_client(acme: Client) -> None:
    row, text = create_key(acme, actor=SYSTEM, name="web shop", scopes=["models:read"])

    caller = find_caller(text)

    assert (caller.key_id, caller.key_name, caller.client_id, caller.client_name) == (
        row.pk, "web shop", acme.pk, "Acme",
    )  # fmt: skip
    assert caller.scopes == {"models:read"}
    assert caller.is_test is False


def test_a_key_may_do_only_what_its_scopes_say(acme: Client) -> None:
    caller = find_caller(create_key(acme, actor=SYSTEM, scopes=["models:read"])[1])

    assert caller.may("models:read")
    assert not caller.may("admin")


def test_the_scope_admin_includes_all_others(acme: Client) -> None:
    caller = find_caller(create_key(acme, actor=SYSTEM, scopes=["admin"])[1])

    assert caller.may("admin")
    assert caller.may("models:read")


@pytest.mark.once
def test_unknown_scopes_are_refused_by_name(acme: Client) -> None:
    with pytest.raises(UnknownScopeError, match=r"^Unknown scope: jobs:fly, money\. Scopes are: .*models:read.*admin"):
        create_key(acme, actor=SYSTEM, scopes=["money", "models:read", "jobs:fly"])

    assert ApiKey.objects.count() == 0
    assert AuditEvent.objects.count() == 0


def test_scopes_are_sorted_and_kept_once() -> None:
    assert check_scopes(["models:read", "admin", "models:read"]) == ["admin", "models:read"]


@pytest.mark.once
@pytest.mark.parametrize("text", ["", "gf_", "gf_nothing", "gf_ключ", "x" * 10_000])
def test_an_unknown_key_speaks_for_nobody(text: str) -> None:
    assert find_caller(text) is None


def test_a_key_with_one_character_changed_speaks_for_nobody(acme: Client) -> None:
    text = create_key(acme, actor=SYSTEM)[1]
    last = "A" if text[-1] != "A" else "B"

    assert find_caller(text[:-1] + last) is None


def test_unknown_keys_are_not_remembered() -> None:
    for number in range(20):
        find_caller(f"gf_guess{number}")

    assert keys._cache == {}


def test_an_expired_key_is_refused(acme: Client) -> None:
    _, text = create_key(acme, actor=SYSTEM, expires_at=timezone.now() - timedelta(seconds=1))

    assert find_caller(text) is None


def test_a_key_expires_on_the_moment_even_while_it_is_remembered(acme: Client, clock: Clock) -> None:
    _, text = create_key(acme, actor=SYSTEM, expires_at=clock.now + timedelta(seconds=1))
    assert find_caller(text) is not None

    clock.move(1)

    assert find_caller(text) is None


def test_a_revoked_key_is_refused_at_once_in_this_process(acme: Client, clock: Clock) -> None:
    row, text = create_key(acme, actor=SYSTEM)
    assert find_caller(text) is not None

    assert revoke_key(row, actor=SYSTEM) is True

    assert find_caller(text) is None


def test_a_revocation_by_another_process_is_seen_within_two_seconds(acme: Client, clock: Clock) -> None:
    row, text = create_key(acme, actor=SYSTEM)
    assert find_caller(text) is not None
    # Another process writes the row and clears only its own memory.
    ApiKey.objects.filter(pk=row.pk).update(revoked_at=clock.now)

    clock.move(1.9)
    assert find_caller(text) is not None
    clock.move(0.1)
    assert find_caller(text) is None


def test_a_remembered_key_costs_no_query(acme: Client, clock: Clock, django_assert_num_queries: Any) -> None:
    _, text = create_key(acme, actor=SYSTEM)
    find_caller(text)

    with django_assert_num_queries(0):
        assert find_caller(text) is not None


def test_revoking_is_audited_once(acme: Client) -> None:
    row, _ = create_key(acme, actor=SYSTEM)

    assert revoke_key(row, actor=Actor(name="root")) is True
    assert revoke_key(row, actor=Actor(name="other")) is False

    events = AuditEvent.objects.filter(action="api_key.revoked")
    assert list(events.values_list("actor_name", "object_id")) == [("root", str(row.pk))]


def test_revoking_one_key_leaves_the_others(acme: Client) -> None:
    first, _ = create_key(acme, actor=SYSTEM)
    _, second = create_key(acme, actor=SYSTEM)

    revoke_key(first, actor=SYSTEM)

    assert find_caller(second) is not None
    assert ApiKey.objects.filter(revoked_at=None).count() == 1


def test_keys_of_an_inactive_client_are_refused(acme: Client) -> None:
    _, text = create_key(acme, actor=SYSTEM)
    Client.objects.filter(pk=acme.pk).update(is_active=False)

    assert find_caller(text) is None


def test_a_client_made_inactive_is_refused_within_two_seconds(acme: Client, clock: Clock) -> None:
    _, text = create_key(acme, actor=SYSTEM)
    assert find_caller(text) is not None
    Client.objects.filter(pk=acme.pk).update(is_active=False)

    clock.move(2)

    assert find_caller(text) is None


def test_two_clients_can_not_share_a_name_in_any_case(acme: Client) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Client.objects.create(name="ACME")

    assert Client.objects.count() == 1


@pytest.mark.once
@pytest.mark.parametrize(
    ("columns", "state"),
    [
        ({}, "active"),
        ({"expires_at": datetime(2000, 1, 1, tzinfo=UTC)}, "expired"),
        ({"revoked_at": datetime(2000, 1, 1, tzinfo=UTC)}, "revoked"),
        ({"revoked_at": datetime(2000, 1, 1, tzinfo=UTC), "expires_at": datetime(2000, 1, 1, tzinfo=UTC)}, "revoked"),
        ({"expires_at": datetime(2999, 1, 1, tzinfo=UTC)}, "active"),
    ],
)
def test_the_state_of_a_key_is_one_word(columns: dict[str, Any], state: str) -> None:
    assert ApiKey(**columns).state == state
