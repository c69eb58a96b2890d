"""Reading the tables under data/: field words and types, components, models."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from genfeed.sandbox.builtin.notation import Field, NotationError, Schema, parse_field, parse_type, tokens

DATA = Path(__file__).parent / "data"
PRICE = re.compile(r"\$(?P<amount>[0-9.]+) per (?P<unit>.*)")
CONTINUED = "    "


@dataclass(frozen=True, slots=True)
class Component:
    """A named schema of objects.txt: its fields, or the type it is another name for."""

    fields: tuple[Field, ...] = ()
    alias: Schema | None = None


@dataclass(slots=True)
class Sheet:
    """One built-in model as its table says it. `inputs` None: its schema cannot be had."""

    endpoint_id: str
    name: str
    category: str
    created: str
    updated: str
    price: tuple[float, str] | None = None
    license_type: str | None = None
    is_training: bool = False
    is_deprecated: bool = False
    has_stream: bool = False
    minutes: float | None = None
    machine_type: str | None = None
    group: str | None = None
    trains: tuple[str, ...] = ()
    inputs: tuple[Field, ...] | None = None
    outputs: tuple[Field, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything under data/ but the prices. `words` are descriptions of fields by name."""

    words: dict[str, str]
    components: dict[str, Component]
    sheets: tuple[Sheet, ...]


def read_tables() -> Tables:
    """Read all tables. Raises NotationError with the place when one is not written as it should be."""
    fields, words = _read_fields()
    sheets = [sheet for path in sorted((DATA / "models").glob("*.txt")) for sheet in _read_sheets(path, fields)]
    return Tables(words, _read_components(fields), tuple(sorted(sheets, key=lambda sheet: sheet.endpoint_id)))


def logical_lines(path: Path) -> Iterator[str]:
    """The lines of a table without comments. Continuations are joined, without a space where a line broke after |."""
    pending = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith(CONTINUED):
            pending += ("" if pending.endswith("|") else " ") + line.strip()
            continue
        if pending:
            yield pending
        pending = line.rstrip()
    if pending:
        yield pending


def _read_fields() -> tuple[dict[str, Field], dict[str, str]]:
    known: dict[str, Field] = {}
    words: dict[str, str] = {}
    for line in logical_lines(DATA / "fields.txt"):
        token, _, description = line.partition(" -- ")
        entry = parse_field(token.strip(), {})
        known[entry.name] = entry
        if description:
            words[entry.name] = description
    return known, words


def _read_components(known: dict[str, Field]) -> dict[str, Component]:
    components: dict[str, Component] = {}
    for line in logical_lines(DATA / "objects.txt"):
        name, _, rest = line.partition(" ")
        if rest.startswith("= "):
            components[name] = Component(alias=parse_type(rest[2:]))
        else:
            components[name] = Component(tuple(parse_field(token, known) for token in tokens(rest)))
    return components


def _read_sheets(path: Path, known: dict[str, Field]) -> Iterator[Sheet]:
    sheet: Sheet | None = None
    for line in logical_lines(path):
        try:
            if line.startswith("  "):
                _add_fields(sheet, line.strip(), known)
                continue
            if sheet is not None:
                yield sheet
            sheet = _read_head(line, path.stem)
        except (NotationError, ValueError, KeyError) as error:
            raise NotationError(f"{path.name}, {sheet.endpoint_id if sheet else 'start'}: {error}") from error
    if sheet is not None:
        yield sheet


def _add_fields(sheet: Sheet | None, line: str, known: dict[str, Field]) -> None:
    if sheet is None:
        raise NotationError("The fields come before their model.")
    read = tuple(parse_field(token, known) for token in tokens(line[1:]))
    if line.startswith("<"):
        sheet.inputs = read
    else:
        sheet.outputs = read


def _read_head(line: str, category: str) -> Sheet:
    endpoint_id, name, facts = line.split(" | ")
    created, updated, price, *rest = facts.split(", ")
    sheet = Sheet(endpoint_id, name, category, created, updated, _read_price(price))
    for fact in rest:
        _set_fact(sheet, fact)
    return sheet


def _read_price(text: str) -> tuple[float, str] | None:
    """`$0.025 per megapixels`; the unit is quoted where spaces count. Returned as fal's row has it: a JSON number."""
    if text == "no price":
        return None
    price = PRICE.fullmatch(text)
    if price is None:
        raise NotationError(f"{text} is no price.")
    amount = Decimal(price["amount"])
    return (int(amount) if amount == amount.to_integral() else float(amount)), price["unit"].strip('"')


def _set_fact(sheet: Sheet, fact: str) -> None:
    flags: dict[str, tuple[str, Any]] = {
        "commercial": ("license_type", "commercial"),
        "research": ("license_type", "research"),
        "private": ("license_type", "private"),
        "training": ("is_training", True),
        "deprecated": ("is_deprecated", True),
        "stream": ("has_stream", True),
        "no schema": ("inputs", None),
    }
    if fact in flags:
        setattr(sheet, *flags[fact])
    elif fact.startswith("on "):
        sheet.machine_type = fact.removeprefix("on ")
    elif fact.startswith("group "):
        sheet.group = fact.removeprefix("group ")
    elif fact.startswith("trains "):
        sheet.trains = tuple(fact.removeprefix("trains ").split())
    elif fact.endswith(" minutes"):
        sheet.minutes = float(fact.removesuffix(" minutes"))
    else:
        raise NotationError(f"{fact} is not known.")
