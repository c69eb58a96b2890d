"""What models answer: for every one, an output that its own schema allows, with the media its kind promises."""

import time
from collections import Counter
from typing import Any

import jsonschema_rs
import pytest

from genfeed.sandbox.keys import keys_from_environment
from genfeed.sandbox.outputs.contract import Contract
from genfeed.sandbox.outputs.validation import problems_of
from genfeed.sandbox.queue.making import make_outcome
from genfeed.sandbox.queue.request import Options, Outcome, QueuedRequest
from genfeed.sandbox.state import Sandbox
from tests.sandbox.caller import FOX, Caller
from tests.sandbox.inputs import smallest_input
from tests.sandbox_server import recorded_catalog

MEDIA = ("-to-image", "-to-video", "-to-3d", "text-to-audio", "text-to-speech")


def outcome_of(sandbox: Sandbox, endpoint_id: str, given: Any) -> tuple[Outcome, QueuedRequest]:
    now = time.time()
    request = QueuedRequest("1", "2", endpoint_id, "a/b", given, 0, Options(), {}, now - 3, started_at=now - 3)
    return make_outcome(sandbox, request, now), request


def _schema_of(contract: Contract) -> jsonschema_rs.Draft202012Validator | None:
    """None for those of fal's documents that refer to what they do not hold."""
    document = {"components": {"schemas": contract.components}, "allOf": [contract.outputs or {}]}
    try:
        return jsonschema_rs.Draft202012Validator(document)
    except ValueError as error:
        if "does not exist" in str(error):
            return None
        raise


@pytest.mark.parametrize("month", [None, "2026-06"])
def test_every_model_answers_what_its_schema_allows(month: str | None) -> None:
    sandbox = Sandbox(
        "http://sandbox", keys_from_environment({}), start_catalog=recorded_catalog(month) if month else None
    )
    sandbox.reset()
    without_media: Counter[str] = Counter()
    checked = 0
    for model in sandbox.models.values():
        contract = sandbox.contracts.of(model)
        if contract.inputs is None:
            continue
        outcome, request = outcome_of(sandbox, model.endpoint_id, smallest_input(contract))
        assert outcome.status == 200, (model.endpoint_id, outcome.body)
        allowed = _schema_of(contract)
        if allowed is None:
            continue
        problems = [(problem.message, problem.instance_path) for problem in allowed.iter_errors(outcome.payload)]
        assert problems == [], model.endpoint_id
        checked += 1
        if not request.file_paths and contract.category.endswith(MEDIA):
            without_media[contract.category] += 1
    assert checked > 700
    # Real outputs that are streams or bare texts.
    assert without_media.total() < checked / 50, without_media


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({"image_size": "landscape_16_9"}, (1024, 576)),
        ({"image_size": {"width": 640, "height": 480}}, (640, 480)),
        ({}, (1024, 768)),
    ],
)
def test_pictures_have_the_size_that_was_asked_for(fal: Caller, given: dict[str, Any], size: tuple[int, int]) -> None:
    images = fal.run(given=FOX | given | {"num_images": 2}).json()["images"]
    assert [(one["width"], one["height"]) for one in images] == [size] * 2


def test_the_seed_is_the_one_sent(fal: Caller) -> None:
    assert fal.run(given=FOX | {"seed": 7}).json()["seed"] == 7


def test_the_format_is_the_one_asked_for(fal: Caller) -> None:
    images = [fal.run(given=FOX | {"output_format": kind}).json()["images"][0] for kind in ("png", "jpeg")]
    assert [one["content_type"] for one in images] == ["image/png", "image/jpeg"]


@pytest.mark.parametrize(
    ("schema", "value", "kind"),
    [
        ({"type": "integer"}, "5", "int_type"),
        ({"type": "integer"}, True, "int_type"),
        ({"type": "boolean"}, 1, "bool_type"),
        ({"type": "string", "maxLength": 2}, "abc", "string_too_long"),
        ({"type": "array", "minItems": 2}, [1], "sequence_too_short"),
        ({"type": "array", "items": {"type": "string"}}, [1], "string_type"),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, 1, "greater_than"),
        ({"type": "number", "exclusiveMaximum": 1}, 1, "less_than"),
        ({"type": "integer", "multipleOf": 16}, 17, "multiple_of"),
        ({"enum": ["a", "b"]}, "c", "literal_error"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "a", "int_type"),
        ({"type": "integer"}, 5.0, None),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, None, None),
        ({"$ref": "#/components/schemas/Missing"}, {"x": 1}, None),
    ],
)
def test_inputs_are_checked_in_fals_words(schema: dict[str, Any], value: Any, kind: str | None) -> None:
    contract = Contract("a/b", "unknown", inputs={"type": "object", "properties": {"field": schema}})
    assert [one["type"] for one in problems_of(contract, {"field": value})] == ([kind] if kind else [])
