"""The built-in catalog: complete, well formed, and in our own words."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest

from catalog.schemas.mapping import map_openapi
from genfeed.sandbox.builtin import builtin_rows
from genfeed.sandbox.builtin.price_texts import price_text
from genfeed.sandbox.builtin.prices import Pricing, Rate, read_pricing
from genfeed.sandbox.builtin.tables import Sheet, Tables, read_tables
from genfeed.sandbox.catalog import read_rows
from pricing.notes.reading import PriceRow, read_note
from tests.sandbox_server import recorded_catalog

# Every unit fal was seen to use (recorded prices), trailing spaces and the empty one included.
UNITS = (
    "seconds|megapixels|images|compute seconds|videos|units|generations|1000 characters|1000 characters |steps|minutes|"
    "video segments|5 seconds|10 seconds|30 seconds|processed megapixels|requests|1m tokens|1000 tokens||credits|"
    "audios|1|train units|trainings|16 frames|minute of video |cloned voices|input seconds"
)
CATEGORIES = (
    "image-to-image text-to-image image-to-video video-to-video text-to-video text-to-audio audio-to-audio training "
    "vision image-to-3d text-to-speech audio-to-video speech-to-text llm text-to-3d 3d-to-3d json video-to-audio "
    "text-to-json audio-to-text video-to-text speech-to-speech unknown image-to-json workflow text-to-text "
    "image-to-text"
)
DANGLING = {
    "fal-ai/patina/material": {"MapImageFile"},
    "fal-ai/wan-ati": {"TrackPoint"},
    "fal-ai/wan-move": {"TrajectoryPoint"},
}
FAMILIAR = (
    "fal-ai/flux/schnell fal-ai/flux/dev fal-ai/flux-pro/v1.1 fal-ai/flux-lora fal-ai/recraft/v3/text-to-image "
    "fal-ai/ideogram/v3 fal-ai/hidream-i1-full fal-ai/stable-diffusion-v35-large fal-ai/nano-banana-pro "
    "fal-ai/gpt-image-1.5 fal-ai/kling-video/v2.6/pro/text-to-video fal-ai/veo3.1 fal-ai/sora-2/text-to-video "
    "fal-ai/wan-25-preview/text-to-video fal-ai/pixverse/v5/text-to-video fal-ai/ltx-2/text-to-video "
    "fal-ai/minimax/hailuo-2.3/pro/text-to-video fal-ai/luma-dream-machine/ray-2 bytedance/seedance-2.0/text-to-video "
    "fal-ai/flux-lora-fast-training fal-ai/kokoro/american-english fal-ai/whisper fal-ai/trellis"
)


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    return {row["endpoint_id"]: row for row in builtin_rows()}


@pytest.fixture(scope="module")
def documents(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one: row["openapi"] for one, row in rows.items() if "openapi" in row["openapi"]}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return read_tables()


@pytest.fixture(scope="module")
def pricing() -> Pricing:
    return read_pricing()


def texts(value: Any, key: str) -> Iterator[str]:
    """Every text under a key, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get(key), str):
            yield value[key].strip()
        for one in value.values():
            yield from texts(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one, key)


def examples(value: Any) -> Iterator[str]:
    """Every text among examples, at any depth."""
    if isinstance(value, dict):
        yield from (one.strip() for one in value.get("examples") or () if isinstance(one, str))
        for one in value.values():
            yield from examples(one)
    elif isinstance(value, list):
        for one in value:
            yield from examples(one)


def references(value: Any) -> Iterator[str]:
    return texts(value, "$ref")


def input_schema(document: dict[str, Any], endpoint_id: str) -> dict[str, Any]:
    content = document["paths"][f"/{endpoint_id}"]["post"]["requestBody"]["content"]["application/json"]
    return document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[1]]


def unit_of(sheet: Sheet) -> str | None:
    return sheet.price[1] if sheet.price else None


def test_there_are_more_than_650_models_with_a_schema(documents: dict[str, dict[str, Any]]) -> None:
    assert len(documents) > 650


def test_no_id_stands_twice(tables: Tables) -> None:
    counted = Counter(sheet.endpoint_id for sheet in tables.sheets)
    assert [one for one, count in counted.items() if count > 1] == []


def test_every_category_is_there(rows: dict[str, dict[str, Any]]) -> None:
    assert {row["metadata"]["category"] for row in rows.values()} == set(CATEGORIES.split())


def test_every_unit_is_there(rows: dict[str, dict[str, Any]]) -> None:
    assert {row["price"]["unit"] for row in rows.values() if row["price"]} == set(UNITS.split("|"))


def test_the_familiar_models_are_there(documents: dict[str, dict[str, Any]]) -> None:
    assert set(FAMILIAR.split()) - documents.keys() == set()


def test_some_models_have_no_price_some_no_schema_and_some_are_deprecated(rows: dict[str, dict[str, Any]]) -> None:
    assert sum(row["price"] is None for row in rows.values()) > 50
    assert sum("error" in row["openapi"] for row in rows.values()) == 5
    assert 3 <= sum(row["metadata"]["status"] == "deprecated" for row in rows.values()) <= 20


def test_every_document_has_the_four_paths_of_a_queue(documents: dict[str, dict[str, Any]]) -> None:
    for endpoint_id, document in documents.items():
        requests = f"/{endpoint_id}/requests/{{request_id}}"
        assert {path: list(item) for path, item in document["paths"].items()} == {
            f"/{endpoint_id}": ["post"],
            requests: ["get"],
            f"{requests}/status": ["get"],
            f"{requests}/cancel": ["put"],
        }


def test_references_lead_somewhere_but_for_the_known_dangling_ones(documents: dict[str, dict[str, Any]]) -> None:
    dangling = {}
    for endpoint_id, document in documents.items():
        names = {one.rsplit("/", 1)[1] for one in references(document)}
        if missing := names - document["components"]["schemas"].keys():
            dangling[endpoint_id] = missing
    assert dangling == DANGLING


def test_order_and_required_speak_of_the_properties(documents: dict[str, dict[str, Any]]) -> None:
    for endpoint_id, document in documents.items():
        for name, schema in document["components"]["schemas"].items():
            if "x-fal-order-properties" not in schema:
                continue
            assert schema["x-fal-order-properties"] == list(schema["properties"]), (endpoint_id, name)
            assert set(schema.get("required", [])) <= schema["properties"].keys(), (endpoint_id, name)


def test_every_input_schema_compiles_and_takes_its_own_defaults(documents: dict[str, dict[str, Any]]) -> None:
    problems = []
    for endpoint_id, document in documents.items():
        if endpoint_id in DANGLING:
            continue
        schema = input_schema(document, endpoint_id)
        whole = {**schema, "components": document["components"], "required": []}
        defaults = {name: one["default"] for name, one in schema["properties"].items() if "default" in one}
        validator = jsonschema_rs.Draft202012Validator(whole)
        problems += [(endpoint_id, error.message) for error in validator.iter_errors(defaults)]
    assert problems == []


def test_image_size_is_an_object_or_one_of_the_names(documents: dict[str, dict[str, Any]]) -> None:
    schema = input_schema(documents["fal-ai/flux/dev"], "fal-ai/flux/dev")["properties"]["image_size"]
    assert schema["anyOf"][0] == {"$ref": "#/components/schemas/ImageSize"}
    assert "landscape_4_3" in schema["anyOf"][1]["enum"]
    assert schema["default"] == "landscape_4_3"


def test_every_field_and_model_is_described(rows: dict[str, dict[str, Any]]) -> None:
    for endpoint_id, row in rows.items():
        assert row["metadata"]["description"].endswith("."), endpoint_id
        for schema in row["openapi"].get("components", {}).get("schemas", {}).values():
            assert all(one.get("description") for one in schema.get("properties", {}).values()), endpoint_id


@pytest.mark.parametrize("month", ["2026-06", "2026-01"])
def test_no_description_and_no_example_is_one_of_the_recorded_ones(rows: dict[str, dict[str, Any]], month: str) -> None:
    recorded = list(read_rows(recorded_catalog(month)))
    ours, theirs = list(rows.values()), recorded
    assert set(texts(ours, "description")) & set(texts(theirs, "description")) == set()
    assert set(examples(ours)) & set(examples(theirs)) == set()


def test_no_price_text_is_one_of_the_recorded_ones(rows: dict[str, dict[str, Any]]) -> None:
    keys = ("price_note", "billing_message")
    recorded = {row[key].strip() for row in read_rows(recorded_catalog("2026-06")) for key in keys if row[key]}
    ours = {row[key] for row in rows.values() for key in keys if row[key]}
    assert len(ours) > 80
    assert ours & recorded == set()


def test_a_model_has_one_price_rule_at_most(tables: Tables, pricing: Pricing) -> None:
    rules = {sheet.endpoint_id: pricing.rules_of(sheet.endpoint_id, unit_of(sheet)) for sheet in tables.sheets}
    assert {one: [rule.models for rule in found] for one, found in rules.items() if len(found) > 1} == {}


def test_every_price_rule_speaks_of_a_model(tables: Tables, pricing: Pricing) -> None:
    used = {rule.models for sheet in tables.sheets for rule in pricing.rules_of(sheet.endpoint_id, unit_of(sheet))}
    assert [rule.models for rule in pricing.rules if rule.models not in used] == []


def test_conditions_of_price_rules_name_inputs_and_values_that_the_model_has(tables: Tables, pricing: Pricing) -> None:
    problems = []
    for sheet in tables.sheets:
        rule = pricing.rule_of(sheet.endpoint_id, unit_of(sheet))
        fields = {field.name: field.schema for field in sheet.inputs or ()}
        rates: tuple[Rate, ...] = (*rule.rates, *rule.factors, *rule.extras) if rule else ()
        for name, value in (item for rate in rates for item in rate.when.items()):
            kinds = fields.get(name, {}).get("anyOf", [fields.get(name, {})])
            choices = [str(one) for kind in kinds for one in kind.get("enum", [])]
            if name not in fields or (choices and str(value) not in choices):
                problems.append((sheet.endpoint_id, name, value))
    assert problems == []


def test_a_rule_reads_as_sentences(pricing: Pricing) -> None:
    def text(endpoint_id: str) -> str:
        rule = pricing.rule_of(endpoint_id, "seconds")
        assert rule is not None
        return price_text(rule)

    assert text("fal-ai/wan-25-preview/text-to-video") == (
        "This model costs **$0.05** per second of video at 480p, **$0.10** at 720p and **$0.15** at 1080p."
    )
    assert text("fal-ai/nano-banana-pro") == (
        "This model costs **$0.15** per image. 4K outputs will be charged at double the standard rate. "
        "If web search is used, an additional **$0.015** will be charged."
    )
    assert text("fal-ai/stable-avatar") == (
        "This model costs **$0.10** per second of video, with a minimum of 4 seconds."
    )


def test_every_price_text_is_in_the_grammar_that_real_texts_have(rows: dict[str, dict[str, Any]]) -> None:
    """Those that the reader of the real texts leaves unread would stay proposed rules in every fresh installation."""
    unread = {}
    for endpoint_id, row in rows.items():
        texts, price = [row["price_note"], row["billing_message"]], row["price"]
        if any(texts):
            inputs = map_openapi(row["openapi"], endpoint_id).inputs
            flat = PriceRow(Decimal(str(price["unit_price"])), price["unit"]) if price else None
            reading = read_note(texts, inputs, flat)
            if reading.state != "active":
                unread[endpoint_id] = reading.problems
    assert unread == {}


def test_trainers_and_the_models_they_train_name_each_other(rows: dict[str, dict[str, Any]]) -> None:
    assert "fal-ai/flux-lora" in rows["fal-ai/flux-lora-fast-training"]["metadata"]["inference_endpoint_ids"]
    assert "fal-ai/flux-lora-fast-training" in rows["fal-ai/flux-lora"]["metadata"]["training_endpoint_ids"]
