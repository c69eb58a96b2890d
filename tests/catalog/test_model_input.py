"""`validate(model, input)`: the current version decides, and it is compiled once."""

from typing import Any

import pytest

from catalog.models import SchemaVersion
from catalog.validating import model_input
from catalog.validating.model_input import NoSchemaError, validate
from tests.factories import INPUT_SCHEMA, make_model, make_schema_version

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_a_right_input_has_no_problems() -> None:
    assert validate(make_model(), {"prompt": "a cat", "num_images": 4}) == []


def test_every_problem_has_its_path_and_a_hint() -> None:
    found = validate(make_model(), {"num_images": 5, "promt": "a cat"})
    assert {(problem.path, problem.code) for problem in found} == {
        ("num_images", "too_large"), ("promt", "unknown_field"), ("prompt", "missing"),
    }  # fmt: skip
    assert all(problem.hint for problem in found)


def test_a_model_without_schema_is_told_by_its_id() -> None:
    with pytest.raises(NoSchemaError, match="fal-ai/bare"):
        validate(make_model("fal-ai/bare", schema_version=0, schema_state="missing"), {})


def test_the_current_version_decides() -> None:
    model = make_model()
    schema = {**INPUT_SCHEMA, "required": ["prompt", "num_images"]}
    content = {"document": {}, "input_schema": schema, "output_schema": {}, "inputs": [], "outputs": []}
    model.schema_version = 2
    make_schema_version(model, content=SchemaVersion.pack(content))
    assert [problem.path for problem in validate(model, {"prompt": "a cat"})] == ["num_images"]
    model.schema_version = 1
    assert validate(model, {"prompt": "a cat"}) == []


def test_a_version_is_compiled_once(monkeypatch: Any) -> None:
    compiled: list[Any] = []
    compile_validator = model_input.compile_validator
    monkeypatch.setattr(model_input, "compile_validator", lambda it: compiled.append(it) or compile_validator(it))
    model_input.understood_before.cache_clear()
    model = make_model()
    for _ in range(3):
        validate(model, {"prompt": "a cat"})
    assert len(compiled) == 1
