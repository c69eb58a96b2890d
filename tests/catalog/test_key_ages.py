"""How long keys at providers have been in use, and that staff are told when one is old."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.utils import timezone
from django_q.models import Schedule

from catalog import tasks
from catalog.models import KeyAge
from genfeed.clients.models import Client, ProviderKey
from genfeed.clients.provider_keys import keep_key
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert
from tests.admin.pages import read
from tests.factories import make_provider

pytestmark = pytest.mark.django_db

KEY, OTHER = "0a1b2c3d:very-secret-part", "9z8y7x6w:another-secret-part"
OWN = "alice:alice-secret-of-the-provider-4711"


@pytest.fixture(autouse=True)
def keys(settings: Any) -> None:
    settings.FAL_KEY, settings.FAL_ADMIN_KEY, settings.REPLICATE_API_TOKEN = KEY, "", ""
    settings.KEY_ROTATION_DAYS = 90


def look(days: int = 0) -> int:
    """The daily look, `days` after the one before."""
    KeyAge.objects.update(since=timezone.now() - timedelta(days=days, minutes=1))
    return tasks.remind_of_provider_keys()


def open_alerts() -> list[str]:
    return list(Alert.objects.filter(code="provider_key_old", resolved_at=None).values_list("title", flat=True))


def own_key(text: str = OWN, days: int = 0) -> None:
    client, _ = Client.objects.get_or_create(name="Alice")
    keep_key(client, "fal", text, state="valid", detail="", actor=SYSTEM)
    ProviderKey.objects.update(set_at=timezone.now() - timedelta(days=days))


def test_a_key_of_the_operator_that_is_ninety_days_old_is_told_once() -> None:
    assert (look(), look(89), open_alerts()) == (0, 0, [])

    assert [look(90), look(91)] == [1, 0]

    assert open_alerts() == ["The key of fal.ai in FAL_KEY has been in use for 90 days"]
    assert "set FAL_KEY to it" in Alert.objects.get().text


def test_another_key_closes_the_alert_and_its_days_begin_anew(settings: Any) -> None:
    look()
    look(90)

    settings.FAL_KEY = OTHER

    assert (tasks.remind_of_provider_keys(), open_alerts()) == (0, [])
    assert (look(89), look(90)) == (0, 1)


def test_a_key_that_is_taken_away_is_spoken_of_no_more(settings: Any) -> None:
    look()
    look(90)

    settings.FAL_KEY = ""

    assert (tasks.remind_of_provider_keys(), open_alerts(), KeyAge.objects.count()) == (0, [], 0)


def test_of_a_key_only_a_digest_is_kept() -> None:
    look()
    look(90)

    kept = str([*KeyAge.objects.values_list(), *Alert.objects.values_list()])
    assert "very-secret-part" not in kept
    assert "0a1b2c3d" not in kept


def test_a_clients_own_key_is_as_old_as_it_was_set(settings: Any) -> None:
    settings.FAL_KEY = ""
    own_key(days=89)
    assert tasks.remind_of_provider_keys() == 0

    KeyAge.objects.all().delete()
    own_key(days=90)

    assert [tasks.remind_of_provider_keys(), tasks.remind_of_provider_keys()] == [1, 0]
    assert open_alerts() == ["Alice: the fal key of its own has been in use for 90 days"]
    own_key("alice:alice-new-secret-of-the-provider-4712")
    assert (tasks.remind_of_provider_keys(), open_alerts()) == (0, [])


def test_the_number_of_days_is_a_setting_and_zero_is_never(settings: Any) -> None:
    look()

    settings.KEY_ROTATION_DAYS = 0
    assert look(1000) == 0
    settings.KEY_ROTATION_DAYS = 10
    assert look(10) == 1


def test_the_key_of_the_sandbox_is_nobodys_to_change(settings: Any) -> None:
    settings.FAL_KEY = settings.SANDBOX_KEY

    tasks.remind_of_provider_keys()

    assert KeyAge.objects.count() == 0


def test_the_page_of_the_provider_tells_since_when_a_key_is_in_use(staff: Callable[[str], HttpClient]) -> None:
    provider = make_provider()
    look()
    KeyAge.objects.update(since="2026-08-01T12:00:00Z")

    page = read(staff("viewer"), f"/admin/catalog/provider/{provider.pk}/change/")

    assert "in use since 2026-08-01" in page.text


def test_it_runs_once_a_day() -> None:
    assert Schedule.objects.get(func="catalog.tasks.remind_of_provider_keys").schedule_type == Schedule.DAILY
