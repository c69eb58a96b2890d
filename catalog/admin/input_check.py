"""The model page's form: an example input, and what the schema says about the one that was typed."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from catalog.models import AIModel
from catalog.schemas.examples import example_input
from catalog.validating.checking import Problem
from catalog.validating.model_input import validate


@dataclass
class InputCheck:
    """`text` is shown in the form; `error` says that it is no JSON; `done` whether a check was made."""

    text: str
    done: bool = False
    error: str = ""
    problems: list[Problem] = field(default_factory=list)


def check_input(row: AIModel, content: dict[str, Any], typed: str | None) -> InputCheck:
    """Checks `typed` (JSON); None: nothing was typed, so an example to begin with."""
    if typed is None or not row.schema_version:
        return InputCheck(orjson.dumps(example_input(content.get("inputs", [])), option=orjson.OPT_INDENT_2).decode())
    try:
        value = orjson.loads(typed)
    except orjson.JSONDecodeError as error:
        return InputCheck(typed, done=True, error=f"This is no JSON: {error}")
    return InputCheck(typed, done=True, problems=validate(row, value))
