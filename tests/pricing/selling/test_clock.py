"""Rules that start or end by the clock change prices then, once."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import Schedule

from catalog.models import AIModel, CatalogState
from genfeed.clients.models import Client
from genfeed.journal.models import AuditEvent, OutboxEvent
from pricing.margins.rules import apply_clock, end_rule
from tests.pricing.selling.priced import FINANCE, add_rule, make_priced, price_of_model

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def flux() -> AIModel:
    return make_priced()


@pytest.fixture
def freeze(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Moves the clock of the whole process."""
    real = timezone.now

    def move(by: timedelta) -> None:
        monkeypatch.setattr(timezone, "now", lambda: real() + by)

    return move


def revision() -> int:
    return CatalogState.objects.get().revision


def test_a_rule_changes_no_price_before_it_starts(flux: AIModel) -> None:
    add_rule(rate="0.5", starts_at=timezone.now() + HOUR)

    assert price_of_model(flux) == "0.083333333"


def test_a_rule_that_starts_by_the_clock_publishes_a_new_revision(flux: AIModel, freeze: Any) -> None:
    add_rule(rate="0.5", starts_at=timezone.now() + HOUR)
    before = revision()
    freeze(2 * HOUR)

    assert apply_clock() == 1
    assert (price_of_model(flux), revision()) == ("0.05", before + 1)
    assert AuditEvent.objects.get(action="margin_rule.reached_its_date").actor_name == "system"


def test_a_rule_that_ends_by_the_clock_gives_the_price_back(flux: AIModel, freeze: Any) -> None:
    add_rule(rate="0.5", ends_at=timezone.now() + HOUR)
    assert price_of_model(flux) == "0.05"
    freeze(2 * HOUR)

    assert apply_clock() == 1
    assert price_of_model(flux) == "0.083333333"


def test_asking_the_clock_again_changes_nothing(flux: AIModel, freeze: Any) -> None:
    add_rule(rate="0.5", starts_at=timezone.now() + HOUR)
    freeze(2 * HOUR)
    apply_clock()
    before = (revision(), OutboxEvent.objects.count(), AuditEvent.objects.count())

    assert apply_clock() == 0
    assert (revision(), OutboxEvent.objects.count(), AuditEvent.objects.count()) == before


def test_a_minute_in_which_nothing_starts_publishes_nothing(flux: AIModel, freeze: Any) -> None:
    apply_clock()
    before = revision()
    freeze(timedelta(minutes=1))

    assert (apply_clock(), revision()) == (0, before)


def test_starts_and_ends_that_a_stopped_worker_missed_are_made_up_for(flux: AIModel, freeze: Any) -> None:
    add_rule(rate="0.5", starts_at=timezone.now() + HOUR, ends_at=timezone.now() + 2 * HOUR)
    freeze(30 * 24 * HOUR)
    apply_clock()

    assert price_of_model(flux) == "0.083333333"


def test_a_rule_that_was_ended_before_its_start_never_starts(flux: AIModel, freeze: Any) -> None:
    rule = add_rule(rate="0.5", starts_at=timezone.now() + HOUR)
    end_rule(rule, actor=FINANCE)
    freeze(2 * HOUR)

    assert apply_clock() == 0
    assert price_of_model(flux) == "0.083333333"


def test_a_rule_of_one_client_publishes_a_revision_when_it_starts(flux: AIModel, freeze: Any) -> None:
    acme = Client.objects.create(name="Acme")
    add_rule("client", client_id=acme.pk, rate="0.5", starts_at=timezone.now() + HOUR)
    before = revision()
    freeze(2 * HOUR)
    apply_clock()

    assert revision() == before + 1


def test_a_switch_to_core_mode_reaches_the_prices(flux: AIModel, settings: Any) -> None:
    apply_clock()
    settings.GENFEED_MODE = "core"

    assert (apply_clock(), apply_clock()) == (1, 0)
    assert price_of_model(flux) == "0.025"


def test_the_clock_is_asked_every_minute() -> None:
    schedule = Schedule.objects.get(func="pricing.tasks.apply_margin_clock")

    assert (schedule.schedule_type, schedule.minutes, schedule.repeats) == ("I", 1, -1)
