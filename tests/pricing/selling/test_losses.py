"""Models sold below their cost: told for every way in which that can happen, and resolved with its end."""

import pytest
from django_q.models import Schedule

from genfeed.clients.models import Client
from genfeed.journal.models import Alert
from pricing import tasks
from pricing.existing.enhancing import enhance
from pricing.margins.rules import end_rule
from pricing.selling.losses import tell_losses
from tests.factories import make_model
from tests.pricing.collection.rows import TESTER, give_price, imported, legacy
from tests.pricing.selling.priced import FINANCE, add_rule, make_priced

pytestmark = pytest.mark.django_db


def live() -> list[tuple[str, str]]:
    alerts = Alert.objects.filter(code="margin_negative", resolved_at=None)
    return list(alerts.order_by("subject").values_list("subject", "text"))


def test_a_fixed_price_below_the_cost_is_told() -> None:
    make_priced("a/b", "0.025")
    add_rule("category", category="text-to-image", mode="fixed", fixed_price="0.02")

    assert tell_losses() == 1

    assert live()[0][0] == "fal:a/b"
    assert "0.02 USD a request at a cost of 0.025 USD." in live()[0][1]
    assert Alert.objects.get().level == "critical"


def test_a_clients_own_fixed_price_below_the_cost_names_the_client() -> None:
    model = make_priced("a/b", "0.025")
    client = Client.objects.create(name="Acme")
    add_rule("client_model", mode="fixed", fixed_price="0.02", client_id=client.pk, model_id=model.pk)

    tell_losses()

    assert "0.02 USD a request to Acme at a cost of 0.025 USD." in live()[0][1]


def test_an_existing_models_own_price_below_its_cost_is_told() -> None:
    give_price(make_model("a/b", metadata={"id": "a/b"}), "0.08")
    imported(legacy("a/b"))
    enhance(actor=TESTER, discover=False)

    tell_losses()

    assert live()[0][0] == "fal:a/b"
    assert "Each image loses 0.03 USD." in live()[0][1]


def test_margins_and_fixed_prices_above_the_cost_are_not_told() -> None:
    make_priced("a/b", "0.025")
    add_rule("category", category="text-to-image", mode="fixed", fixed_price="0.03")

    assert (tell_losses(), live()) == (0, [])


def test_the_same_loss_is_told_once() -> None:
    make_priced("a/b", "0.025")
    add_rule("category", category="text-to-image", mode="fixed", fixed_price="0.02")

    tell_losses()
    tell_losses()

    assert Alert.objects.get().times == 1


def test_it_is_resolved_when_the_price_is_above_the_cost_again() -> None:
    make_priced("a/b", "0.025")
    rule = add_rule("category", category="text-to-image", mode="fixed", fixed_price="0.02")
    tell_losses()

    end_rule(rule, actor=FINANCE)
    tell_losses()

    assert (live(), Alert.objects.get().state) == ([], "resolved")


def test_many_losses_are_one_alert() -> None:
    for number in range(21):
        make_priced(f"a/{number}", "0.025")
    add_rule("category", category="text-to-image", mode="fixed", fixed_price="0.02")

    assert tell_losses() == 21

    assert [subject for subject, _ in live()] == ["many"]


def test_it_runs_once_an_hour() -> None:
    assert Schedule.objects.get(func="pricing.tasks.tell_losses").schedule_type == "H"
    assert tasks.tell_losses() == 0
