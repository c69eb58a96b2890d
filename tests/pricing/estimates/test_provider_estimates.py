"""Asking the provider for past costs: a few at a time, in the background, and never beyond its patience."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import Schedule

from catalog.models import AIModel, CatalogState
from catalog.providers import base, fal_prices
from pricing.models import ModelPricing, ProviderEstimate
from pricing.prices.provider_estimates import refresh_some, waiting
from tests.factories import make_model
from tests.pricing.estimates.sold import make_sold, post
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


def unsure(endpoint_id: str, **columns: Any) -> AIModel:
    """A model whose default cost nobody can tell."""
    model = make_model(endpoint_id, **columns)
    ModelPricing.objects.create(model=model, default_confidence="unknown")
    return model


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[str]]:
    """Makes the provider answer by a function of the endpoint id; returns the ids that it was asked for."""

    def install(answer: Any) -> list[str]:
        asked: list[str] = []

        def cost(_: Any, endpoint_id: str, calls: int) -> Any:
            asked.append(endpoint_id)
            return answer(endpoint_id, calls)

        monkeypatch.setattr(fal_prices, "historical_cost", cost)
        return asked

    return install


def limited(*_: Any) -> None:
    raise base.ProviderRateLimitedError("slow down")


def test_the_sandbox_is_asked_and_its_answer_kept(fal: RunningSandbox) -> None:
    model = unsure("fal-ai/flux/dev")

    assert refresh_some(1) == "fal: 1 asked, 1 known"
    kept = ProviderEstimate.objects.get(model=model)
    assert kept.cost is not None
    assert 0 < kept.cost < 10**9


def test_no_more_models_are_asked_about_than_the_budget_allows(answers: Any) -> None:
    for number in range(5):
        unsure(f"fal-ai/m{number}")
    asked = answers(lambda *_: None)

    refresh_some(2)
    refresh_some(2)

    assert asked == [f"fal-ai/m{number}" for number in range(4)]


def test_a_refusal_ends_the_asking(answers: Any) -> None:
    for number in range(5):
        unsure(f"fal-ai/m{number}")
    asked = answers(limited)

    assert refresh_some(5) == "fal: 0 asked, 0 known, then limited"
    assert len(asked) == 1
    assert not ProviderEstimate.objects.exists()


def test_a_model_without_history_is_not_asked_about_again_for_a_month(answers: Any) -> None:
    model = unsure("fal-ai/quiet")
    asked = answers(lambda *_: None)
    refresh_some()
    refresh_some()
    assert (asked, ProviderEstimate.objects.get().cost) == (["fal-ai/quiet"], None)

    ProviderEstimate.objects.update(asked_at=timezone.now() - timedelta(days=31))

    assert list(waiting("fal")) == [model]


def test_a_senseless_answer_about_one_model_does_not_stand_in_the_way(answers: Any) -> None:
    unsure("fal-ai/a")
    unsure("fal-ai/b")

    def answer(endpoint_id: str, calls: int) -> Any:
        if endpoint_id == "fal-ai/a":
            raise base.ProviderBadAnswerError("nonsense")
        return fal_prices.Decimal(calls) / 4

    answers(answer)

    assert refresh_some() == "fal: 2 asked, 1 known"
    assert ProviderEstimate.objects.get(model__endpoint_id="fal-ai/b").cost == 250_000_000


def test_an_unreachable_provider_ends_the_asking_and_changes_nothing(answers: Any) -> None:
    unsure("fal-ai/a")

    def fail(*_: Any) -> None:
        raise base.ProviderUnavailableError("down")

    answers(fail)

    assert refresh_some() == "fal: 0 asked, 0 known, then failed"
    assert not ProviderEstimate.objects.exists()


def test_models_whose_cost_follows_from_the_request_and_retired_ones_are_not_asked_about() -> None:
    sure = make_model("fal-ai/sure")
    ModelPricing.objects.create(model=sure, default_confidence="exact")
    unsure("fal-ai/gone", status="retired")

    assert not waiting("fal").exists()


def test_without_a_key_nothing_is_asked(settings: Any) -> None:
    settings.FAL_KEY = ""
    unsure("fal-ai/a")

    assert refresh_some() == "fal: no key"


def test_what_is_learned_reaches_the_default_estimate_at_once(answers: Any) -> None:
    model = make_sold("fal-ai/opaque", unit="units")
    pricing = ModelPricing.objects.get(model=model)
    assert (pricing.default_cost, pricing.default_confidence) == (None, "unknown")
    answers(lambda _, calls: fal_prices.Decimal(calls) / 4)

    refresh_some()

    pricing.refresh_from_db()
    assert (pricing.default_cost, pricing.default_confidence) == (250_000_000, "historical")


def test_the_same_answer_again_publishes_nothing(answers: Any) -> None:
    make_sold("fal-ai/opaque", unit="units")
    answers(lambda _, calls: fal_prices.Decimal(calls) / 4)
    refresh_some()
    ProviderEstimate.objects.update(asked_at=timezone.now() - timedelta(days=31))
    revision = CatalogState.objects.get().revision

    assert refresh_some() == "fal: 1 asked, 1 known"

    assert CatalogState.objects.get().revision == revision


def test_no_request_ever_asks_the_provider(answers: Any, asker: Any) -> None:
    make_sold("fal-ai/opaque", unit="units")
    asked = answers(limited)

    post(asker, "/estimates", {"model": "fal-ai/opaque", "input": {"prompt": "a"}})

    assert asked == []


def test_it_runs_by_itself() -> None:
    schedule = Schedule.objects.get(func="pricing.tasks.ask_for_past_costs")

    assert schedule.schedule_type == Schedule.MINUTES
    assert import_string(schedule.func)(2)
