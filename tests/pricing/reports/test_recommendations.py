"""Recommendations: each rule by its numbers, applied and taken back, dismissed, and gone when their reason is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.utils import timezone
from django_q.models import Schedule

from catalog.models import AIModel
from genfeed.clients.models import Client
from genfeed.journal.audit import Actor
from genfeed.journal.models import AuditEvent
from pricing import tasks
from pricing.models import Equivalence, MarginRule, ModelPricing, Recommendation, Refusal, SellingPrice
from pricing.reports import policy, refusals
from pricing.reports.recommendations import DecisionError, apply, dismiss, recommend, undo
from pricing.reports.rollups import roll_up
from tests.admin.pages import page_of, read
from tests.factories import make_model, publish_now
from tests.pricing.ledger.books import CENT, make_client
from tests.pricing.reports.past import ended
from tests.pricing.selling.priced import make_priced

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
ANNA = Actor(name="anna")
LIST = "/admin/pricing/recommendation/"


@pytest.fixture(autouse=True)
def _small_numbers(settings: Any) -> None:
    settings.RECOMMEND_MIN_JOBS = 5
    settings.RECOMMEND_MIN_REFUSED = 3
    settings.RECOMMEND_MIN_THROTTLED = 3


def many(model: AIModel, client: Client, count: int = 5, days_ago: int = 1, **more: Any) -> None:
    for _ in range(count):
        ended(model, client, timezone.now() - days_ago * DAY, **more)


def made() -> dict[str, Recommendation]:
    """The open recommendations by kind, after everything was brought up to date."""
    roll_up()
    recommend()
    return {one.kind: one for one in Recommendation.objects.filter(state="open")}


def a_loser(name: str = "fal-ai/loser") -> AIModel:
    model = make_model(name)
    many(model, make_client(f"client of {name}"), charge=CENT, cost=3 * CENT)
    return model


def test_a_model_that_loses_money_is_to_be_switched_off() -> None:
    model = a_loser()
    one = made()["disable_losing"]
    assert one.model == model
    assert one.why == "5 jobs in 30 days brought 0.0500 USD and cost 0.1500 USD."
    assert one.effect_amount == 10 * CENT


def test_fewer_jobs_than_the_threshold_recommend_nothing() -> None:
    many(make_model(), make_client(), 4, charge=CENT, cost=3 * CENT)
    assert made() == {}


def test_a_model_that_earns_and_works_is_left_alone() -> None:
    many(make_model(), make_client())
    assert made() == {}


def test_a_model_that_fails_too_often_is_to_be_switched_off() -> None:
    model, client = make_model(), make_client()
    many(model, client, 4)
    many(model, client, 2, outcome="failed", charge=0, cost=0, cost_source="none", error_code="timeout")
    assert made()["disable_failing"].why.startswith("2 of 6 jobs in 30 days failed, 33.3 %")


def test_canceled_jobs_are_no_failures() -> None:
    model, client = make_model(), make_client()
    many(model, client, 5)
    many(model, client, 9, outcome="canceled", charge=0, cost=0, cost_source="none")
    assert "disable_failing" not in made()


def test_a_disabled_model_that_clients_ask_for_is_to_be_switched_on(make_key: Callable[..., str]) -> None:
    model = make_model(switch=AIModel.Switch.OFF)
    publish_now()
    client = HttpClient(headers={"Authorization": f"Bearer {make_key('estimates')}"})
    for _ in range(3):
        answer = client.post(
            "/api/v1/estimates", {"model": "fal-ai/flux/dev", "input": {"prompt": "x"}}, content_type="application/json"
        )
        assert answer.json()["code"] == "model_disabled"
    one = made()["enable"]
    assert (one.model, one.blocked) == (model, "")
    assert "3 times" in one.why


def test_a_model_without_a_price_says_what_is_missing_and_cannot_be_applied() -> None:
    model = make_model(priced=False)
    for _ in range(3):
        refusals.count_refused_model(model.pk, "model_unpriced")
    one = made()["enable"]
    assert one.blocked
    with pytest.raises(DecisionError, match="can't be applied yet"):
        apply(one.pk, actor=ANNA)
    model.refresh_from_db()
    assert model.switch == "auto"


def test_a_margin_that_fell_after_a_price_change_is_to_be_repriced() -> None:
    model, client = make_model(), make_client()
    many(model, client, 5, days_ago=40, charge=10 * CENT, cost=3 * CENT)
    many(model, client, 5, charge=10 * CENT, cost=8 * CENT)
    assert "reprice" not in made()
    SellingPrice.objects.create(
        model=model, effective_from=timezone.now() - 20 * DAY, price={"amount": "0.1"}, unit_cost="0.08"
    )
    one = made()["reprice"]
    # 40 cents of cost at a margin of a half: 80 cents, where 50 were charged.
    assert one.effect_amount == 30 * CENT
    apply(one.pk, actor=ANNA)
    rule = MarginRule.objects.get(model=model)
    assert (rule.mode, rule.rate, rule.is_active) == ("margin", "0.5", True)
    undo(one.pk, actor=ANNA)
    rule.refresh_from_db()
    assert not rule.is_active


def test_a_cheaper_equivalent_of_a_popular_model_is_told() -> None:
    dear, cheap = make_model("fal-ai/dear"), make_model("fal-ai/cheap")
    many(dear, make_client())
    for model, cost in ((dear, 4 * CENT), (cheap, 3 * CENT)):
        ModelPricing.objects.update_or_create(model=model, defaults={"default_cost": cost})
    Equivalence.objects.create(left=dear, right=cheap, state=Equivalence.State.CONFIRMED, score=1)
    one = made()["cheaper"]
    assert one.title == "Offer fal-ai/cheap instead of fal-ai/dear"
    assert one.effect_amount == 5 * CENT // 4


def test_what_nobody_used_is_to_be_retired_once_there_was_use_for_so_long() -> None:
    used, unused = make_model("fal-ai/used"), make_model("fal-ai/unused")
    client = make_client()
    many(used, client)
    assert "retire" not in made()
    many(used, client, 1, days_ago=100)
    one = made()["retire"]
    assert one.does == {"switch": "off", "models": [unused.pk]}


def test_a_paying_client_that_is_throttled_gets_a_higher_limit() -> None:
    client = make_client()
    many(make_model(), client)
    for _ in range(3):
        refusals.count_throttled_client(client.pk, "too_many_in_flight")
    one = made()["raise_limit"]
    assert one.does == {"limit": "max_in_flight", "value": 20, "client": client.pk}
    assert one.effect_amount == 3 * 3 * CENT
    apply(one.pk, actor=ANNA)
    client.refresh_from_db()
    assert client.max_in_flight == 20
    undo(one.pk, actor=ANNA)
    client.refresh_from_db()
    assert client.max_in_flight is None


def test_a_limit_that_somebody_changed_since_is_not_undone() -> None:
    client = make_client()
    many(make_model(), client)
    for _ in range(3):
        refusals.count_throttled_client(client.pk, "queue_full")
    one = made()["raise_limit"]
    apply(one.pk, actor=ANNA)
    Client.objects.filter(pk=client.pk).update(max_queued=7)
    with pytest.raises(DecisionError, match="changed since"):
        undo(one.pk, actor=ANNA)


@pytest.mark.once
def test_applying_is_audited_and_undoing_gives_the_decision_back_to_the_catalog() -> None:
    model = a_loser()
    one = made()["disable_losing"]
    apply(one.pk, actor=ANNA, reason="enough")
    model.refresh_from_db()
    assert (model.switch, model.enabled) == ("off", False)
    undo(one.pk, actor=ANNA)
    model.refresh_from_db()
    assert (model.switch, model.enabled) == ("auto", True)
    actions = list(AuditEvent.objects.order_by("pk").values_list("action", "actor_name"))
    assert actions[-4:] == [
        ("model.switched_off", "anna"), ("recommendation.applied", "anna"), ("model.switch_released", "anna"),
        ("recommendation.undone", "anna"),
    ]  # fmt: skip


@pytest.mark.once
def test_undoing_leaves_alone_what_a_person_switched_since() -> None:
    model = a_loser()
    one = made()["disable_losing"]
    apply(one.pk, actor=ANNA)
    AIModel.objects.filter(pk=model.pk).update(switch="on")
    undo(one.pk, actor=ANNA)
    model.refresh_from_db()
    assert model.switch == "on"


def test_a_decision_is_made_once() -> None:
    a_loser()
    one = made()["disable_losing"]
    apply(one.pk, actor=ANNA)
    for decide in (apply, dismiss):
        with pytest.raises(DecisionError):
            decide(one.pk, actor=ANNA)
    undo(one.pk, actor=ANNA)
    with pytest.raises(DecisionError):
        undo(one.pk, actor=ANNA)


def test_what_was_dismissed_is_quiet_for_a_while_and_can_be_opened_again() -> None:
    a_loser()
    one = made()["disable_losing"]
    dismiss(one.pk, actor=ANNA)
    assert made() == {}
    undo(one.pk, actor=ANNA)
    assert made()["disable_losing"].pk == one.pk
    dismiss(one.pk, actor=ANNA)
    Recommendation.objects.update(decided_at=timezone.now() - 31 * DAY)
    assert made()["disable_losing"].pk != one.pk


def test_computing_again_keeps_one_row_and_closes_it_when_its_reason_is_gone() -> None:
    model = a_loser()
    first = made()["disable_losing"]
    assert made()["disable_losing"].pk == first.pk
    many(model, make_client("payer"), charge=100 * CENT)
    assert made() == {}
    first.refresh_from_db()
    assert first.state == "gone"


def test_counts_of_refusals_are_written_together_and_added_up() -> None:
    for _ in range(1000):
        refusals.count_refused_model(7, "model_disabled")
    assert not Refusal.objects.exists()
    refusals.flush()
    refusals.count_refused_model(7, "model_disabled")
    refusals.flush()
    assert Refusal.objects.get().times == 1001


def test_a_job_beyond_the_limit_is_counted_as_throttling(make_key: Callable[..., str], settings: Any) -> None:
    settings.JOBS_PER_MINUTE = 0
    make_priced()
    publish_now()
    client = HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:write')}"})
    body = {"model": "fal-ai/flux/dev", "input": {"prompt": "x"}}
    answer = client.post("/api/v1/jobs", body, content_type="application/json")
    assert answer.json()["code"] == "rate_limited"
    refusals.flush()
    assert list(Refusal.objects.values_list("kind", "code", "times")) == [("client", "rate_limited", 1)]


# --- policy ---


def allow(**values: Any) -> None:
    defaults = {
        "is_on": True,
        "disables_losing": True,
        "disables_failing": True,
        "enables_again": True,
        "most_a_day": 5,
    }
    policy.set_policy(defaults | values, actor=ANNA)


@pytest.mark.once
def test_the_policy_is_off_as_shipped() -> None:
    model = a_loser()
    roll_up()
    assert "the policy is off" in policy.run()
    model.refresh_from_db()
    assert model.enabled


def test_the_policy_switches_a_loser_off_audited_and_undoable() -> None:
    model = a_loser()
    allow()
    roll_up()
    policy.run()
    model.refresh_from_db()
    assert not model.enabled
    one = Recommendation.objects.get(state="applied")
    assert (one.by_policy, one.decided_by) == (True, "enablement policy")
    assert AuditEvent.objects.filter(actor_name="enablement policy", action="model.switched_off").count() == 1
    undo(one.pk, actor=ANNA)
    model.refresh_from_db()
    assert model.enabled


@pytest.mark.once
def test_the_policy_never_touches_what_a_person_switched() -> None:
    model = a_loser()
    AIModel.objects.filter(pk=model.pk).update(switch="on")
    allow()
    roll_up()
    policy.run()
    model.refresh_from_db()
    assert (model.switch, model.enabled) == ("on", True)


def test_the_policy_switches_no_more_models_a_day_than_it_may() -> None:
    for number in range(3):
        a_loser(f"fal-ai/loser{number}")
    allow(most_a_day=2)
    roll_up()
    policy.run()
    policy.run()
    assert AIModel.objects.filter(switch="off").count() == 2


def test_the_policy_switches_on_again_what_it_switched_off_once_the_price_changed() -> None:
    model = a_loser()
    allow()
    roll_up()
    policy.run()
    policy.run()
    model.refresh_from_db()
    assert not model.enabled
    SellingPrice.objects.create(model=model, effective_from=timezone.now(), price={"amount": "0.2"}, unit_cost="0.03")
    policy.run()
    model.refresh_from_db()
    assert model.enabled


def test_what_a_person_switched_off_stays_off_when_the_price_changes() -> None:
    model = a_loser()
    apply(made()["disable_losing"].pk, actor=ANNA)
    SellingPrice.objects.create(model=model, effective_from=timezone.now(), price={"amount": "0.2"}, unit_cost="0.03")
    allow()
    policy.run()
    model.refresh_from_db()
    assert not model.enabled


@pytest.mark.once
def test_the_worker_recommends_once_a_day() -> None:
    assert Schedule.objects.get(func="pricing.tasks.recommend").schedule_type == "D"
    a_loser()
    assert tasks.recommend() == "1 recommendations are open; the policy is off"


# --- pages ---


@pytest.mark.once
def test_the_list_shows_reasons_and_the_page_applies(staff: Callable[[str], HttpClient]) -> None:
    model = a_loser()
    manager = staff("catalog manager")
    assert "Nothing is recommended" in read(manager, LIST).text
    page = page_of(manager.post(f"{LIST}compute/", follow=True))
    assert "5 jobs in 30 days brought 0.0500 USD and cost 0.1500 USD." in page.text
    one = Recommendation.objects.get()
    assert "Switches 1 model off" in read(manager, f"{LIST}{one.pk}/change/").text
    manager.post(f"{LIST}{one.pk}/decide/apply/", {"reason": "loses"})
    model.refresh_from_db()
    assert not model.enabled
    manager.post(f"{LIST}{one.pk}/decide/undo/")
    model.refresh_from_db()
    assert model.enabled


@pytest.mark.once
def test_a_viewer_sees_and_may_not_decide(staff: Callable[[str], HttpClient]) -> None:
    a_loser()
    one = made()["disable_losing"]
    viewer = staff("viewer")
    assert not read(viewer, f"{LIST}{one.pk}/change/").has("button", data_testid="apply")
    assert viewer.post(f"{LIST}{one.pk}/decide/apply/").status_code == 403
    assert viewer.post(f"{LIST}policy/", {"save": "1", "most_a_day": "5"}).status_code == 403


@pytest.mark.once
def test_the_dry_run_shows_what_the_policy_would_do_and_changes_nothing(staff: Callable[[str], HttpClient]) -> None:
    model = a_loser()
    made()
    finance = staff("finance")
    form = {"is_on": "on", "disables_losing": "on", "most_a_day": "5"}
    page = page_of(finance.post(f"{LIST}policy/", {**form, "try": "1"}))
    assert "applies it" in page.text
    model.refresh_from_db()
    assert model.enabled
    assert not policy.policy().is_on
    finance.post(f"{LIST}policy/", {**form, "save": "1", "reason": "tried it"})
    assert policy.policy().is_on
    assert AuditEvent.objects.get(action="enablement_policy.changed").reason == "tried it"


# --- API ---


@pytest.mark.once
def test_the_api_lists_recommendations_for_the_scope_admin(admin_api: HttpClient, api: HttpClient) -> None:
    a_loser()
    made()
    body = admin_api.get("/api/v1/admin/recommendations").json()
    assert body["count"] == 1
    assert (body["items"][0]["kind"], body["items"][0]["effect_amount"]) == ("disable_losing", "0.1")
    assert api.get("/api/v1/admin/recommendations").status_code == 403
