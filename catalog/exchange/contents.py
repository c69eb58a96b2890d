"""What the lines of an export say: a table of contents, then a record for each model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.exchange.file_format import BadExportError, Export
from genfeed.net.bounded_json import is_too_deep

Slug = Annotated[str, Field(min_length=1, max_length=50)]
EndpointId = Annotated[str, Field(min_length=1, max_length=255)]
Text = Annotated[str, Field(max_length=20_000)]


class _Shape(BaseModel):
    # What a newer cloud adds within the same format is no trouble.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Listed(_Shape):
    """One provider's part of the table of contents: all its models, whether their records are in this file or not."""

    name: Annotated[str, Field(max_length=100)]
    ids: list[EndpointId]


class Table(_Shape):
    """The first line: providers by slug, how many records follow, and the state that an increment builds on."""

    providers: dict[Slug, Listed]
    records: int
    base_state: Annotated[str, Field(max_length=64)] = ""


class ListPrice(_Shape):
    """The provider's list price of one unit, as its price list has it."""

    unit: Annotated[str, Field(max_length=60)]
    unit_price: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"


class RuleRecord(_Shape):
    """A price rule that a person has written or decided, in force at the cloud."""

    body: dict[str, Any]
    billed_in: Annotated[str, Field(max_length=60)] = ""


class Record(_Shape):
    """One model. `withholds_price`: there is a price, and it can't be told from one that is the operator's own.

    `version` None: an older cloud does not tell it.
    """

    provider: Slug
    id: EndpointId
    name: Annotated[str, Field(min_length=1, max_length=255)]
    category: Annotated[str, Field(max_length=80)] = ""
    description: Text = ""
    status: Annotated[str, Field(pattern="^(active|deprecated)$")] = "active"
    kind: Annotated[str, Field(max_length=20)] | None = None
    tags: list[str] = []
    thumbnail_url: Annotated[str, Field(max_length=1000)] = ""
    updated_at: Annotated[str, Field(max_length=40)] = ""
    version: Annotated[str, Field(max_length=80)] | None = None
    metadata: dict[str, Any] = {}
    problem: Annotated[str, Field(max_length=500)] = ""
    price: ListPrice | None = None
    withholds_price: bool = False
    price_note: Text = ""
    billing_message: Text = ""
    machine_type: Annotated[str, Field(max_length=40)] = ""
    rule: RuleRecord | None = None


@dataclass(frozen=True)
class Contents:
    """Of one provider: its name, the ids of all its models, and the records of those in the file, by id.

    `documents` are the OpenAPI documents of the records that have one, as JSON: a whole catalog of them as objects
    would keep the garbage collector busy for a fifth of an import's time.
    """

    name: str
    ids: list[str]
    records: dict[str, Record] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)

    def take(self, line: dict[str, Any], document: Any) -> None:
        """Adds a model's line; raises ValidationError, or KeyError for a document that is none."""
        record = Record.model_validate(line)
        self.records[record.id] = record
        if isinstance(document, dict):
            self.documents[record.id] = orjson.dumps(document)
        elif document is not None:
            raise KeyError(record.id)


def read_contents(export: Export, *, had: str = "") -> dict[str, Contents]:
    """The contents by provider, all of them checked; raises BadExportError.

    `had`: the state that is here at the revision which an increment says that it follows. Its reason is "gap" where it
    builds on another one.
    """
    lines = iter(export.lines())
    try:
        table = Table.model_validate(next(lines, None))
        if export.header.since and not (had and table.base_state == had):
            raise BadExportError("gap", "The export builds on another state of the catalog than the one that is here.")
        found = {slug: Contents(listed.name, listed.ids) for slug, listed in table.providers.items()}
        count = 0
        for line in lines:
            document = line.pop("document", None)
            if is_too_deep(line):
                raise KeyError(line["provider"])
            found[line["provider"]].take(line, document)
            count += 1
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BadExportError("damaged", f"A record of the export makes no sense ({place or 'its shape'}).") from None
    except (KeyError, TypeError, AttributeError):
        raise BadExportError("damaged", "A record of the export is no record of a listed provider's model.") from None
    if count != table.records or not _complete(found.values(), whole=export.header.since == 0):
        raise BadExportError("damaged", "The records of the export are not those that its table of contents names.")
    return found


def _complete(parts: Iterable[Contents], *, whole: bool) -> bool:
    for part in parts:
        known = set(part.ids)
        if not part.records.keys() <= known or (whole and len(part.records) != len(known)):
            return False
    return True
