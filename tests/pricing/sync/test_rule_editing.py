"""Rules written, activated and retired by people, said in words, and tried out."""

import pytest

from catalog.models import AIModel
from genfeed.journal.models import AuditEvent
from pricing.estimates.facts import load_facts
from pricing.models import PriceRule
from pricing.prices.points import record_point
from pricing.rules.check import BadRule
from pricing.rules.editing import activate, retire, save_rule
from pricing.rules.trial import Trial, first_trial, pretty, try_out
from pricing.rules.words import rule_sentences
from tests.factories import make_model
from tests.pricing.sync.conftest import FLUX, PERSON

pytestmark = pytest.mark.django_db

IMAGES = {"version": 1, "charges": [{"name": "images", "price": "0.09", "per": {"of": "outputs"}}]}
SPARKLING = [{"field": "sparkle", "is": [1]}]


@pytest.fixture
def model() -> AIModel:
    return make_model(FLUX, priced=False)


def tried(model: AIModel, body: object = IMAGES, given: str = '{"prompt": "a cat"}', media: str = "{}") -> Trial:
    text = body if isinstance(body, str) else pretty(body)
    return try_out(next(load_facts([model.pk])), model, body=text, input=given, media=media)


def test_a_rule_written_by_hand_counts_at_once_and_is_audited(model):
    rule = save_rule(model, IMAGES, activate=True, actor=PERSON, reason="as in our contract")
    model.refresh_from_db()
    assert (rule.source, rule.state, model.price["amount"]) == ("manual", "active", "0.3")
    event = AuditEvent.objects.get(action="price_rule.written")
    assert (event.actor_name, event.reason, event.after["body"]) == ("a person", "as in our contract", IMAGES)


def test_a_proposal_changes_no_price(model):
    save_rule(model, IMAGES, activate=False, actor=PERSON)
    model.refresh_from_db()
    assert model.enabled is False


def test_a_new_rule_retires_the_old_one_and_leaves_it_readable(model):
    old = save_rule(model, IMAGES, activate=True, actor=PERSON)
    save_rule(model, {**IMAGES, "minimum": "1"}, activate=True, actor=PERSON)
    old.refresh_from_db()
    assert (old.state, old.body) == ("retired", IMAGES)


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "version"), ({"version": 1}, "charges"), ({**IMAGES, "extra": 1}, "extra"), ([], "object"),
        ({"version": 1, "charges": [{"name": "x", "price": "-1"}]}, "charges/0/price: a price is a number of 0"),
        ({"version": 1, "charges": [{"name": "x", "price": "NaN"}]}, "charges/0/price: a price is a number"),
        ({"version": 1, "charges": [{"name": "x", "price": 0.1}]}, "price"),
        ({"version": 1, "charges": [{"name": "x\0", "price": "1"}]}, "null characters"),
        ({"version": 1, "charges": [{"name": "x", "price": "1", "when": SPARKLING}]}, "sparkle"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_right_is_refused_in_words_and_changes_nothing(model, body, words):
    with pytest.raises(BadRule, match=words):
        save_rule(model, body, activate=True, actor=PERSON)
    assert not PriceRule.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"field": "num_images", "above": "4"}, "num_images is never above 4; 4 is its maximum"),
        ({"field": "num_images", "at_least": "5"}, "num_images is never at least 5; 4 is its maximum"),
        ({"field": "num_images", "below": "1"}, "num_images is never below 1; 1 is its minimum"),
        ({"field": "num_images", "at_most": "0"}, "num_images is never at most 0; 1 is its minimum"),
    ],
)
@pytest.mark.parametrize("activate", [True, False])
def test_a_rule_that_never_matches_is_refused_with_the_values_that_there_are(model, condition, words, activate):
    tiers = [{"price": "1", "when": [condition]}, {"price": "2"}]
    with pytest.raises(BadRule, match=words):
        save_rule(model, {"version": 1, "charges": [{"name": "x", "price": tiers}]}, activate=activate, actor=PERSON)
    assert not PriceRule.objects.exists()


def test_a_rule_that_never_matches_is_told_when_it_is_tried(model):
    never = {"version": 1, "charges": [{"name": "x", "price": "1", "when": [{"field": "num_images", "above": "4"}]}]}
    assert tried(model, never).problems == ["num_images is never above 4; 4 is its maximum"]


def test_a_proposed_rule_is_activated_once(model):
    rule = activate(save_rule(model, IMAGES, activate=False, actor=PERSON), actor=PERSON)
    assert (rule.state, rule.decided_by) == ("active", "a person")
    with pytest.raises(BadRule, match="only a proposed rule"):
        activate(rule, actor=PERSON)


def test_a_rule_without_content_cannot_be_activated(model):
    rule = PriceRule.objects.create(model=model, source="note", state="proposed", body={})
    with pytest.raises(BadRule, match="write one first"):
        activate(rule, actor=PERSON)


def test_a_rule_that_no_longer_fits_the_schema_cannot_be_activated(model):
    body = {"version": 1, "charges": [{"name": "x", "price": "1", "when": [{"field": "gone", "given": True}]}]}
    rule = PriceRule.objects.create(model=model, source="note", state="proposed", body=body)
    with pytest.raises(BadRule, match="no field 'gone'"):
        activate(rule, actor=PERSON)


def test_a_retired_rule_leaves_the_row_to_count(model):
    record_point(model, source="advertised", raw_unit="images", unit_price="0.03")
    rule = save_rule(model, IMAGES, activate=True, actor=PERSON)
    retire(rule, actor=PERSON, reason="no longer true")
    model.refresh_from_db()
    assert model.price["amount"] == "0.1"
    with pytest.raises(BadRule, match="retired already"):
        retire(rule, actor=PERSON)


# --- in words ---


@pytest.mark.once
def test_a_rule_is_said_in_sentences():
    rule = {
        "version": 1,
        "charges": [
            {
                "name": "seconds",
                "price": [
                    {"when": [{"field": "resolution", "is": ["720p", "480p"]}], "price": "0.08"},
                    {"price": "0.1"},
                ],
                "per": {"of": "seconds", "fps": "16", "round": "up", "to": "5"},
                "times": [{"of": "outputs"}],
            },
            {"name": "search", "price": "0.015", "when": [{"field": "search", "is": [True]}], "once": True},
            {"name": "row", "price": "unit_price", "per": {"of": "length", "field": "images", "over": "1"}},
        ],
        "multipliers": [
            {"name": "4K", "factor": "2", "when": [{"quantity": {"of": "lines"}, "above": "2000"}]},
            {"name": "pro", "factor": "unknown", "when": [{"fields": ["a", "b"], "given": True}]},
            {"name": "steps", "factor": {"of": "steps", "divide_by": "16"}},
        ],
        "minimum": "0.5",
    }
    assert rule_sentences(rule) == [
        "Seconds: 0.08 USD per seconds, counted at 16 frames per second, rounded up to multiples of 5, times outputs "
        "if resolution is 720p or 480p.",
        "Seconds: 0.1 USD per seconds, counted at 16 frames per second, rounded up to multiples of 5, times outputs "
        "otherwise.",
        "Search: 0.015 USD a request if search is True, whatever the multipliers.",
        "Row: the row's unit price per length images, only the part over 1.",
        "4K: times 2 if lines is above 2000.",
        "Pro: dearer, but nobody says how much: no estimate if any of a, b is given.",
        "Steps: times steps, in lots of 16.",
        "At least 0.5 USD a request.",
    ]


@pytest.mark.once
def test_no_rule_has_no_sentences():
    assert rule_sentences({}) == []


# --- tried out ---


@pytest.mark.once
def test_the_form_begins_with_the_rule_and_a_default_request(model):
    trial = first_trial(next(load_facts([model.pk])), IMAGES)
    assert '"price": "0.09"' in trial.body
    assert '"prompt"' in trial.input


@pytest.mark.once
def test_an_input_costs_this_because(model):
    trial = tried(model, given='{"prompt": "a cat", "num_images": 3}')
    assert (trial.problems, trial.cost, trial.price) == ([], "0.27", "0.9")
    assert "images" in trial.estimate.basis


def test_trying_saves_nothing(model):
    tried(model)
    assert not PriceRule.objects.exists()


@pytest.mark.once
def test_without_a_rule_the_row_counts(model):
    record_point(model, source="advertised", raw_unit="images", unit_price="0.03")
    assert tried(model, "{}").cost == "0.03"


@pytest.mark.once
def test_what_is_missing_is_named(model):
    body = {"version": 1, "charges": [{"name": "x", "price": "1", "per": {"of": "input_video_seconds"}}]}
    assert tried(model, body).estimate.missing == ("input_video_seconds",)
    assert tried(model, body, media='{"input_video_seconds": 3}').cost == "3"


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "given", "media", "words"),
    [
        ("{", '{"prompt": "x"}', "{}", "The rule: this is no JSON"),
        ("[1]", '{"prompt": "x"}', "{}", "must be a JSON object"),
        (IMAGES, "nonsense", "{}", "The input: this is no JSON"), (IMAGES, "{}", "{}", "prompt"),
        (IMAGES, '{"prompt": "x", "sparkle": 1}', "{}", "sparkle"),
        (IMAGES, '{"prompt": "x", "num_images": 99}', "{}", "num_images"),
        (IMAGES, '{"prompt": "x"}', '{"moon": 1}', "moon"),
        (IMAGES, '{"prompt": "x"}', '{"input_fps": -1}', "negative"),
        ({"version": 2}, '{"prompt": "x"}', "{}", "version"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_trial_is_said(model, body, given, media, words):
    trial = tried(model, body, given, media)
    assert any(words in problem for problem in trial.problems), trial.problems
    assert trial.cost == ""
