"""Pairs of equivalent models: suggested, decided by people, never merged."""

import pytest

from catalog.models import AIModel
from genfeed.journal.models import AuditEvent
from pricing.equivalents import equivalents_of
from pricing.existing import duplicates
from pricing.existing.duplicates import DecisionError, confirm, link, refresh_suggestions, reject
from pricing.models import Equivalence, ExistingModel
from tests.factories import make_model
from tests.pricing.collection.rows import TESTER, give_price, imported, legacy

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair() -> Equivalence:
    """The existing fal-ai/flux-dev, suggested to be the catalog's fal-ai/flux/dev, which costs 0.025 an image."""
    give_price(make_model("fal-ai/flux/dev", metadata={"id": "x"}))
    imported(legacy("fal-ai/flux-dev"))
    refresh_suggestions()
    return Equivalence.objects.get()


def test_a_suggestion_changes_nothing_of_either_row(pair: Equivalence) -> None:
    assert pair.state == "suggested"
    row = ExistingModel.objects.get()
    assert (row.match, row.counterpart, row.provider_cost) == ("none", None, {})
    assert AIModel.objects.count() == 2


def test_a_confirmed_counterpart_puts_its_cost_beside(pair: Equivalence) -> None:
    confirm(pair, actor=TESTER)
    row = ExistingModel.objects.get()
    assert (row.match, str(row.counterpart), row.provider_cost) == ("equivalent", "fal-ai/flux/dev", {"image": "0.025"})
    assert row.pricing == {"image": "0.05"}


def test_a_confirmation_is_audited(pair: Equivalence) -> None:
    confirm(pair, actor=TESTER)
    event = AuditEvent.objects.get(action="equivalence.confirmed")
    assert (event.actor_name, event.before, event.after) == ("tester", {"state": "suggested"}, {"state": "confirmed"})


def test_a_rejected_pair_is_not_suggested_again(pair: Equivalence) -> None:
    reject(pair, actor=TESTER)
    found = refresh_suggestions()
    assert (found.new, found.standing) == ([], [])
    assert Equivalence.objects.get().state == "rejected"


def test_rejecting_a_confirmed_pair_undoes_the_link(pair: Equivalence) -> None:
    confirm(pair, actor=TESTER)
    reject(pair, actor=TESTER)
    row = ExistingModel.objects.get()
    assert (row.match, row.counterpart, row.provider_cost) == ("none", None, {})


def test_a_pair_is_confirmed_once(pair: Equivalence) -> None:
    confirm(pair, actor=TESTER)
    with pytest.raises(DecisionError, match="confirmed already"):
        confirm(pair, actor=TESTER)


def test_an_existing_model_has_one_counterpart(pair: Equivalence) -> None:
    confirm(pair, actor=TESTER)
    with pytest.raises(DecisionError, match="is linked with fal-ai/flux/dev already"):
        link(AIModel.objects.get(endpoint_id="fal-ai/flux-dev"), make_model("fal-ai/other"), actor=TESTER, reason="x")
    assert Equivalence.objects.count() == 1


def test_a_person_can_link_what_was_not_suggested() -> None:
    one, other = make_model("a/one"), make_model("b/two")
    made = link(other, one, actor=TESTER, reason="The vendor says so.")
    assert (made.left, made.right, made.score, made.state) == (one, other, 100, "confirmed")
    assert equivalents_of([one.pk, other.pk]) == {one.pk: [other.pk], other.pk: [one.pk]}


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_link_needs_a_reason(reason: str) -> None:
    with pytest.raises(DecisionError, match="few words"):
        link(make_model("a/one"), make_model("b/two"), actor=TESTER, reason=reason)


def test_a_model_is_not_linked_with_itself() -> None:
    row = make_model("a/one")
    with pytest.raises(DecisionError, match="itself"):
        link(row, row, actor=TESTER, reason="x")


def test_only_confirmed_pairs_count_as_equivalents(pair: Equivalence) -> None:
    assert equivalents_of([pair.left_id, pair.right_id]) == {}


def test_looking_twice_finds_nothing_new(pair: Equivalence) -> None:
    found = refresh_suggestions()
    assert (found.new, found.gone, len(found.standing)) == ([], 0, 1)


def test_a_suggestion_falls_away_with_its_reason(pair: Equivalence) -> None:
    AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").update(status="retired")
    assert refresh_suggestions().gone == 1
    assert not Equivalence.objects.exists()


def test_a_decided_pair_stays_when_its_reason_is_gone(pair: Equivalence) -> None:
    confirm(pair, actor=TESTER)
    AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").update(status="retired")
    refresh_suggestions()
    assert Equivalence.objects.get().state == "confirmed"


def test_equivalents_inside_the_catalog_are_found_too() -> None:
    make_model("fal-ai/flux/dev", name="FLUX.1 [dev]", metadata={"id": "x"})
    make_model("fal-ai/flux-1/dev", name="FLUX.1 [dev]", metadata={"id": "y"})
    assert len(refresh_suggestions().new) == 1
    assert len(duplicates.candidates()) == 2
