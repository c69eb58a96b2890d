"""From a fetched document to what is stored of it: mapped, fingerprinted and packed, or the reason why not."""

from dataclasses import dataclass
from typing import Any

from catalog.models import AIModel, SchemaVersion
from catalog.providers.base import FetchedSchema, ListedModel
from catalog.schemas.mapping import MappedSchema, SchemaNotUnderstood, fingerprint, map_openapi
from catalog.schemas.media_types import extract_capabilities, extract_limits, infer_kind, media_type


@dataclass(frozen=True)
class Understood:
    """A document that was understood. `content` is packed, so that 15,000 of them stay small in memory; `derived`
    holds the columns of AIModel that follow from it."""

    endpoint_id: str
    fingerprint: str
    flags: list[str]
    content: bytes
    derived: dict[str, Any]

    def mapped(self) -> MappedSchema:
        """The mapped schema, unpacked."""
        return _mapped(SchemaVersion.unpack(self.content), self.flags)


@dataclass(frozen=True)
class NotUnderstood:
    """No usable document; `state` is AIModel.SchemaState.MISSING or .NOT_UNDERSTOOD."""

    endpoint_id: str
    state: str
    reason: str
    answered: bool = True


def understand(fetched: FetchedSchema, listed: ListedModel) -> Understood | NotUnderstood:
    """Maps a document; never raises for anything that a provider may send."""
    if fetched.document is None:
        return NotUnderstood(fetched.endpoint_id, AIModel.SchemaState.MISSING, fetched.problem, fetched.answered)
    try:
        mapped = map_openapi(fetched.document, fetched.endpoint_id)
    except SchemaNotUnderstood as trouble:
        return NotUnderstood(fetched.endpoint_id, AIModel.SchemaState.NOT_UNDERSTOOD, trouble.reason)
    return Understood(
        endpoint_id=fetched.endpoint_id,
        fingerprint=fingerprint(mapped),
        flags=mapped.flags,
        content=SchemaVersion.pack(
            {
                "document": fetched.document,
                "input_schema": mapped.input_schema,
                "output_schema": mapped.output_schema,
                "inputs": mapped.inputs,
                "outputs": mapped.outputs,
            }
        ),
        derived=derived_columns(listed.category, listed.kind, mapped),
    )


def mapped_of(version: SchemaVersion) -> MappedSchema:
    """The mapped schema that a stored version holds."""
    return _mapped(version.unpacked, version.flags)


def _mapped(content: dict[str, Any], flags: list[str]) -> MappedSchema:
    return MappedSchema(
        inputs=content["inputs"],
        outputs=content["outputs"],
        input_schema=content["input_schema"],
        output_schema=content["output_schema"],
        flags=flags,
    )


def derived_columns(category: str, kind: str | None, mapped: MappedSchema | None) -> dict[str, Any]:
    """The columns of AIModel that follow from category and schema, the same way for every model."""
    found_type, source = media_type(category, mapped.outputs if mapped else [])
    return {
        "media_type": found_type,
        "media_type_source": source,
        "kind": infer_kind(kind, category),
        "capabilities": extract_capabilities(category, mapped) if mapped else [],
        "limits": extract_limits(mapped) if mapped else {},
    }
