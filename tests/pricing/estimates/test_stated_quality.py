"""An admin's word on quality: set for many models at once, audited, seen by whoever chooses a model."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog import published, revisions
from catalog.models import AIModel
from genfeed.journal.audit import Actor
from genfeed.journal.models import AuditEvent
from pricing.choosing.stated_quality import UnknownTierError, set_quality
from pricing.models import ModelPricing
from tests.pricing.estimates.sold import PROMPT, make_sold, post

pytestmark = pytest.mark.django_db

ANNA = Actor(name="anna")
LIST = "/admin/pricing/modelpricing/"


def tier_of(client: HttpClient, model: AIModel) -> Any:
    published.forget()
    items = post(client, "/models/select", {"media_type": "image"})["items"]
    return next(item["quality"] for item in items if item["model"] == model.endpoint_id)


def test_it_is_seen_by_the_next_choice(asker: HttpClient) -> None:
    model = make_sold(inputs=[PROMPT])
    assert tier_of(asker, model)["source"] == "derived"

    set_quality([model], "ultra", actor=ANNA)

    assert tier_of(asker, model) == {"tier": "ultra", "source": "admin", "evidence": []}


def test_it_is_audited_and_published_once_for_all() -> None:
    models = [make_sold(f"m/{number}") for number in range(3)]
    before = revisions.current()

    assert set_quality(models, "high", actor=ANNA, reason="seen side by side") == 3

    after = revisions.current()
    assert before is not None
    assert after is not None
    assert after.number == before.number + 1
    events = AuditEvent.objects.filter(action="model.quality_set")
    assert {(event.actor_name, event.after["quality"], event.reason) for event in events} == {
        ("anna", "high", "seen side by side")
    }
    assert len(events) == 3


def test_what_changes_nothing_leaves_no_trace() -> None:
    model = make_sold()
    set_quality([model], "high", actor=ANNA)
    before = revisions.current()

    assert set_quality([model], "high", actor=ANNA) == 0
    assert revisions.current() == before
    assert AuditEvent.objects.filter(action="model.quality_set").count() == 1


def test_it_can_be_derived_again() -> None:
    model = make_sold()
    set_quality([model], "high", actor=ANNA)

    set_quality([model], "", actor=ANNA)

    assert ModelPricing.objects.get(model=model).quality == ""


@pytest.mark.once
def test_an_unknown_tier_is_refused_by_name() -> None:
    with pytest.raises(UnknownTierError, match=r"'best'.*low, medium, high, ultra"):
        set_quality([make_sold()], "best", actor=ANNA)


@pytest.mark.once
def test_a_catalog_manager_sets_it_in_the_admin(staff: Callable[[str], HttpClient]) -> None:
    model = make_sold()
    row = ModelPricing.objects.get(model=model)

    staff("catalog manager").post(LIST, {"action": "quality_high", "_selected_action": [row.pk]})

    assert ModelPricing.objects.get(model=model).quality == "high"
    assert AuditEvent.objects.get(action="model.quality_set").actor_name == "a catalog manager"


@pytest.mark.once
def test_a_viewer_may_not_set_it(staff: Callable[[str], HttpClient]) -> None:
    model = make_sold()
    row = ModelPricing.objects.get(model=model)

    staff("viewer").post(LIST, {"action": "quality_high", "_selected_action": [row.pk]})

    assert ModelPricing.objects.get(model=model).quality == ""
