"""Is this what the model takes: a client's input against the current schema version of a model."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from catalog.models import AIModel, SchemaVersion
from catalog.validating.checking import Problem, Validator, compile_validator, validate_input

# More than the models that a provider lists: a new revision of the catalog leaves nearly all schemas as they were.
_REMEMBERED = 2_000


@dataclass(frozen=True)
class Understood:
    """What a schema version says of inputs and outputs, as `catalog.schemas.mapping` made it."""

    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    input_schema: dict[str, Any]

    @cached_property
    def validator(self) -> Validator:
        """The compiled input schema."""
        return compile_validator(self.input_schema)


NOTHING = Understood([], [], {})


class NoSchemaError(LookupError):
    """The model has no schema that was understood, so no input can be checked."""


def validate(model: AIModel, value: Any) -> list[Problem]:
    """Everything that is wrong with `value`, each with its path and a hint; empty when the model takes it.

    Raises NoSchemaError.
    """
    return validate_input(validator_of(model), value)


def validator_of(model: AIModel) -> Validator:
    """The compiled input schema of the model's current version; raises NoSchemaError."""
    version = SchemaVersion.objects.filter(model=model, number=model.schema_version).values_list("content").first()
    if version is None:
        raise NoSchemaError(f"No schema of {model.endpoint_id} is understood, so its input can't be checked.")
    return understood_before(bytes(version[0])).validator


def understood(content: bytes) -> Understood:
    """The packed content of a schema version."""
    unpacked = SchemaVersion.unpack(content)
    return Understood(unpacked.get("inputs", []), unpacked.get("outputs", []), unpacked.get("input_schema", {}))


# By the content itself, some kilobytes each: whatever happens to rows, what is kept is never out of date.
understood_before = lru_cache(maxsize=_REMEMBERED)(understood)
