"""Is this what the model takes: a client's input against the current schema version of a model."""

from functools import lru_cache
from typing import Any

from catalog.models import AIModel, SchemaVersion
from catalog.validation import Problem, Validator, compile_validator, validate_input


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
    return _compiled(bytes(version[0]))


# By the content itself, some kilobytes each: whatever happens to rows, what is kept is never out of date.
@lru_cache(maxsize=500)
def _compiled(content: bytes) -> Validator:
    return compile_validator(SchemaVersion.unpack(content)["input_schema"])
