"""The recorded catalog: hand-worked cases, the named families, and how much can be estimated at all."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

import pricing
from pricing.counting.requests import Field
from pricing.counting.units import is_derivable
from pricing.rules.matching import never_met
from tests.pricing.recorded_prices import estimate, fields_of, is_right, mapped_june, price_row, reading, recorded
from tests.recorded import FOLDER, requires_recorded

pytestmark = requires_recorded

SAMPLE = FOLDER / "truth-sample.jsonl"
PRICING = Path(pricing.__file__).parent
OWN = Path(__file__).parent / "cases.jsonl"
# A second set by another hand, worked out from texts, rows and schemas alone, on endpoints that the sample lacks.
SECOND = Path(__file__).parent / "cases-2.jsonl"
SETS = pytest.mark.parametrize("path", [SAMPLE, OWN, SECOND], ids=["sample", "own", "second"])
# Facts for a medium input: five seconds of 720p video or audio, images of one megapixel.
FACTS = {
    "input_video_seconds": 5,
    "input_audio_seconds": 5,
    "input_width": 1280,
    "input_height": 720,
    "input_images_mp": 1,
    "input_frames": 120,
    "input_fps": 24,
    "output_video_seconds": 5,
}


def cases(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def wrong_claims(found: list[dict[str, Any]]) -> list[str]:
    answers = [(case, estimate(case["endpoint_id"], case["input"], case.get("media"))) for case in found]
    return [
        f"{case['id']} {case['endpoint_id']}: {answer.cost} instead of {case['cost_usd']}"
        for case, answer in answers
        if not is_right(case, answer) and answer.confidence in ("exact", "derived")
    ]


@SETS
def test_ninety_five_of_a_hundred_hand_worked_cases_are_right(path: Path) -> None:
    found = cases(path)
    if not found:
        pytest.skip("the hand-worked sample is expected in ../shared/fal, beside the checkout")
    right = [case for case in found if is_right(case, estimate(case["endpoint_id"], case["input"], case.get("media")))]
    assert len(right) >= 0.95 * len(found)


def test_a_picture_of_flux_in_twenty_steps_costs_something_and_less_than_a_dollar() -> None:
    answer = estimate("fal-ai/flux/dev", {"prompt": "a fox", "num_inference_steps": 20})
    assert answer.cost is not None
    assert 0 < answer.cost < 1


def test_no_rule_that_was_read_has_a_condition_that_its_model_can_never_meet() -> None:
    rules = {one: rule for one in recorded() if (rule := reading(one).rule)}
    never = {one: found for one, rule in rules.items() if (found := never_met(rule, fields_of(one)))}
    assert len(rules) > 200
    assert never == {}


@SETS
def test_fewer_than_two_of_a_hundred_are_wrong_while_claiming_to_know(path: Path) -> None:
    found = cases(path)
    assert len(wrong_claims(found)) <= 0.02 * len(found), wrong_claims(found)


def test_own_cases_are_about_other_endpoints_or_inputs_than_the_sample() -> None:
    sample = {(case["endpoint_id"], orjson.dumps(case["input"])) for case in cases(SAMPLE)}
    assert not sample & {(case["endpoint_id"], orjson.dumps(case["input"])) for case in cases(OWN)}


def test_no_endpoint_of_the_second_set_is_in_the_sample() -> None:
    assert not {case["endpoint_id"] for case in cases(SAMPLE)} & {case["endpoint_id"] for case in cases(SECOND)}


@pytest.mark.parametrize(
    ("family", "fewest"),
    [
        ("fal-ai/sora-2/", 4),
        ("fal-ai/veo3", 9),
        ("fal-ai/kling-video/", 6),
        ("fal-ai/wan", 20),
        ("fal-ai/pixverse/", 20),
        ("fal-ai/flux-2", 15),
        ("fal-ai/ideogram/", 6),
        ("fal-ai/nano-banana", 4),
        ("fal-ai/gpt-image-1.5", 2),
        ("fal-ai/bytedance/seedance/", 6),
        ("fal-ai/ltx", 20),
    ],
)
def test_the_texts_of_a_family_are_read_completely(family: str, fewest: int) -> None:
    noted = [
        name for name, row in recorded().items() if name.startswith(family) and row["price_note"] and fields_of(name)
    ]
    assert len(noted) >= fewest
    assert {name: reading(name).problems for name in noted if reading(name).state != "active"} == {}


def test_the_texts_of_trainers_are_read_completely() -> None:
    noted = [name for name, row in recorded().items() if "trainer" in name and row["price_note"] and fields_of(name)]
    assert len(noted) >= 20
    assert [name for name in noted if reading(name).state != "active"] == []


def test_every_recorded_note_is_active_or_says_why_not() -> None:
    noted = [name for name, row in recorded().items() if row["price_note"]]
    assert len(noted) == 365
    silent = [name for name in noted if reading(name).state == "proposed" and not reading(name).problems]
    assert silent == []


def test_nine_of_ten_notes_on_known_models_are_active() -> None:
    noted = [name for name, row in recorded().items() if row["price_note"] and fields_of(name)]
    active = [name for name in noted if reading(name).state == "active"]
    assert len(active) >= 0.9 * len(noted)


def words_of(room: str) -> Iterator[tuple[str, str]]:
    """Every word of the texts in the code of a room, without its docstrings, with the file that it stands in."""
    for file in sorted((PRICING / room).rglob("*.py")):
        tree = ast.parse(file.read_text())
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
                yield from ((file.name, word) for word in re.findall(r"[a-z0-9][a-z0-9./-]+", node.value.lower()))


@pytest.mark.parametrize(
    "room", ["notes", "rules", "counting", "estimates", "margins", "selling", "settling", "choosing", "prices"]
)
def test_no_rule_depends_on_the_name_of_its_endpoint(room: str) -> None:
    categories = {(row["metadata"] or {}).get("category") for row in recorded().values()}
    families = {word for one in recorded() for word in one.split("/")[1:2] if re.search(r"[\d-]", word)} - categories
    named = families | set(recorded())

    words = list(words_of(room))

    assert len(families) > 300
    assert len(words) > 50
    assert [found for found in words if found[1] in named] == []


def _sample_value(item: Field) -> Any:
    if item.get("examples"):
        return item["examples"][0]
    if item.get("enum"):
        return item["enum"][0]
    kinds: dict[str, Any] = {"integer": item.get("minimum") or 1, "number": item.get("minimum") or 1, "boolean": False}
    if item["type"] == "array":
        return [_sample_value(item["items"])] if "items" in item else ["a"]
    if item["type"] == "object":
        return {inner["name"]: _sample_value(inner) for inner in item.get("fields", []) if inner["required"]}
    return kinds.get(item["type"], "https://example.com/file")


def _estimated(media: dict[str, Any] | None) -> Counter[bool]:
    """How many inference models with derivable units have a sure estimate for their default input."""
    sure: Counter[bool] = Counter()
    for name, fields in mapped_june().items():
        row = recorded()[name]
        flat = price_row(row)
        if not flat or not is_derivable(flat.unit) or (row["metadata"] or {}).get("kind") == "training":
            continue
        given = {item["name"]: _sample_value(item) for item in fields if item["required"]}
        answer = estimate(name, given, media)
        assert answer.cost is None or answer.cost > 0
        if answer.confidence == "unknown":
            assert answer.missing or "no price" in answer.basis, (name, answer)
        sure[answer.confidence in ("exact", "derived")] += 1
    return sure


def test_nine_of_ten_default_inputs_have_a_sure_estimate_once_media_are_known() -> None:
    sure = _estimated(FACTS)
    assert sure[True] >= 0.9 * sure.total()


def test_without_media_facts_two_thirds_are_sure_and_the_others_name_what_is_missing() -> None:
    sure = _estimated(None)
    assert sure[True] >= 0.65 * sure.total()


def test_compute_seconds_are_bounded_for_every_recorded_model() -> None:
    for name, row in recorded().items():
        flat = price_row(row)
        texts = reading(name)
        if texts.rule is not None or texts.billed_in not in (None, "compute seconds"):
            continue
        if flat and flat.unit.strip() == "compute seconds" and flat.unit_price:
            assert estimate(name, {}).confidence == "bounded"


def test_a_row_of_a_unit_nobody_explains_has_no_estimate() -> None:
    opaque = [
        name
        for name, row in recorded().items()
        if row["price"] and row["price"]["unit"] in ("units", "credits", "", "video segments") and not row["price_note"]
    ]
    assert opaque
    assert {estimate(name, {}).confidence for name in opaque} == {"unknown"}


def test_a_price_text_outranks_the_row_it_contradicts() -> None:
    answer = estimate("fal-ai/sora-2/text-to-video/pro", {"resolution": "720p"})
    assert (answer.cost, answer.confidence) == (Decimal("1.20"), "exact")
