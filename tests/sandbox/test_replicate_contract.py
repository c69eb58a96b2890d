"""What the sandbox's Replicate answers is what Replicate's own OpenAPI document says, and what recordings show."""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema_rs
import orjson
import pytest

from catalog.providers.replicate_answers import STATES, counts_of, detail_of
from catalog.providers.replicate_schemas import category_of, document_of
from catalog.schemas.mapping import map_openapi
from tests.sandbox_server import ROOT, RunningSandbox

RECORDINGS = ROOT.parent / "shared" / "replicate"


def recording(name: str) -> Path:
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"the recording ../shared/replicate/{name} is not beside this checkout")
    return path


@cache
def contract() -> Any:
    return _with_null(orjson.loads(gzip.decompress(recording("openapi.json.gz").read_bytes())))


def _with_null(value: Any) -> Any:
    """The document with `nullable`, a word of OpenAPI 3.0, as a type of 3.1, and `oneOf` as `anyOf`: a version is one
    of a string and of "hidden", which is a string too."""
    if isinstance(value, list):
        return [_with_null(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {"anyOf" if key == "oneOf" else key: _with_null(one) for key, one in value.items()}
    if found.get("nullable") is True:
        rest = {key: one for key, one in found.items() if key != "nullable"}
        return {"anyOf": [rest, {"type": "null"}]}
    return found


def problems(method: str, path: str, status: int, body: Any) -> list[str]:
    """What the document says against an answer."""
    pointer = quote(path.replace("~", "~0").replace("/", "~1"))
    schema = {
        "$ref": f"#/paths/{pointer}/{method}/responses/{status}/content/application~1json/schema",
        "paths": contract()["paths"],
        "components": contract()["components"],
    }
    validator = jsonschema_rs.Draft202012Validator(schema)
    return [f"{error.instance_path}: {error.message[:200]}" for error in validator.iter_errors(body)]


@pytest.fixture
def client(_builtin_sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    _builtin_sandbox.client.delete("/_sandbox/replicate")
    headers = {"Authorization": "Bearer r8_sandbox"}
    with httpx.Client(base_url=f"{_builtin_sandbox.base_url}/replicate/v1", headers=headers, trust_env=False) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/account", "/account"),
        ("/collections", "/collections"),
        ("/collections/text-to-image", "/collections/{collection_slug}"),
        ("/hardware", "/hardware"),
        ("/models", "/models"),
        ("/models/stability-ai/sdxl", "/models/{model_owner}/{model_name}"),
        ("/models/openai/sora-2", "/models/{model_owner}/{model_name}"),
        ("/predictions", "/predictions"),
        ("/search?query=image", "/search"),
        ("/webhooks/default/secret", "/webhooks/default/secret"),
    ],
)
def test_reads_are_as_documented(client: httpx.Client, path: str, told: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 200
    assert problems("get", told, 200, answer.json()) == []


def test_predictions_are_as_documented_from_their_creation_to_their_end(client: httpx.Client) -> None:
    made = client.post("/models/openai/sora-2/predictions", json={"input": {"prompt": "a fox"}})
    path = f"/predictions/{made.json()['id']}"
    canceled = client.post(f"{path}/cancel")

    assert made.status_code == 201
    assert problems("post", "/models/{model_owner}/{model_name}/predictions", 201, made.json()) == []
    assert problems("get", "/predictions/{prediction_id}", 200, client.get(path).json()) == []
    assert problems("post", "/predictions/{prediction_id}/cancel", 200, canceled.json()) == []
    assert canceled.json()["status"] == "canceled"


def test_an_answer_that_is_not_as_documented_would_be_found() -> None:
    assert problems("get", "/account", 200, {"type": "martian"}) != []


def test_without_a_token_nothing_is_told(client: httpx.Client) -> None:
    answer = client.get("/models", headers={"Authorization": ""})

    assert (answer.status_code, answer.json()["title"]) == (401, "Unauthenticated")


def test_a_community_model_is_run_by_its_version_alone(client: httpx.Client) -> None:
    by_name = client.post("/predictions", json={"version": "stability-ai/sdxl", "input": {"prompt": "x"}})
    digest = client.get("/models/stability-ai/sdxl").json()["latest_version"]["id"]
    by_version = client.post("/predictions", json={"version": digest, "input": {"prompt": "x"}})

    assert (by_name.status_code, by_name.json()["title"]) == (422, "Invalid version or not permitted")
    assert by_version.status_code == 201


# --- Our reading of what was recorded of the real one ----------------------------------------------------------------


def recorded_models() -> list[dict[str, Any]]:
    with gzip.open(recording("models.jsonl.gz")) as lines:
        return [json.loads(line)["record"] for line in lines]


def test_every_recorded_schema_is_understood_in_its_own_order() -> None:
    rows = [row for row in recorded_models() if row["latest_version"]]
    odd = []
    for row in rows:
        cog = row["latest_version"]["openapi_schema"]
        given = cog["components"]["schemas"]["Input"]
        wanted = sorted(
            given.get("properties", {}),
            key=lambda name, given=given: (
                given["properties"][name].get("x-order", float("inf")),
                name not in given.get("required", []),
                name,
            ),
        )
        mapped = map_openapi(document_of("a/b", cog, "image"), "a/b")
        if [one["name"] for one in mapped.inputs] != wanted or mapped.flags:
            odd.append(row["name"])

    assert len(rows) == 142
    assert odd == []


def test_what_recorded_models_make_is_inferred_for_nearly_all() -> None:
    found = {
        f"{row['owner']}/{row['name']}": category_of(
            row["latest_version"]["openapi_schema"],
            collections=[],
            example=row["default_example"],
            name=row["name"],
            description=row["description"] or "",
        )[0]
        for row in recorded_models()
        if row["latest_version"]
    }

    assert "" not in found.values()
    expected = {
        "black-forest-labs/flux-1.1-pro": "text-to-image",
        "meta/meta-llama-3-8b-instruct": "llm",
        "meta/musicgen": "text-to-audio",
        "salesforce/blip": "image-to-text",
        "suno-ai/bark": "text-to-audio",
        "philz1337x/clarity-upscaler": "image-to-image",
        "deforum/deforum_stable_diffusion": "text-to-video",
    }
    assert {name: found[name] for name in expected} == expected


def test_every_recorded_prediction_is_read() -> None:
    with gzip.open(recording("recorded-http.jsonl.gz")) as lines:
        rows = [json.loads(line) for line in lines]
    read = [
        row["body"]
        for row in rows
        if "/predictions" in row["uri"]
        and row["status"] < 300
        and isinstance(row["body"], dict)
        and "id" in row["body"]
    ]

    assert len(read) > 100
    assert {one["status"] for one in read} <= STATES.keys()
    ended = [one for one in read if one["status"] == "succeeded" and one.get("metrics")]
    assert ended
    assert all(counts_of(one)["compute seconds"] > 0 for one in ended)


def test_the_fields_of_a_refusal_are_named() -> None:
    body = {
        "detail": "- input: prompt is required\n",
        "status": 422,
        "title": "Input validation failed",
        "invalid_fields": [
            {"type": "required", "field": "input", "description": "prompt is required"},
            {"type": "number_lte", "field": "input.steps", "description": "Must be less than or equal to 4"},
        ],
    }

    assert detail_of(httpx.Response(422, json=body)) == [
        {"loc": [], "msg": "prompt is required", "type": "required"},
        {"loc": ["steps"], "msg": "Must be less than or equal to 4", "type": "number_lte"},
    ]
