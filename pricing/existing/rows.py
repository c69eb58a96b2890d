"""From raw rows to checked ones in the legacy shape; a row that can't be taken is told with its line and the reason."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from catalog.providers import base
from pricing.existing.reading import BadFileError, NumberText, RawRow
from pricing.money import NotMoney, parse_price, to_nano
from pricing.selling.prices import LEGACY_NAMES

FIELDS = ("id", "name", "provider", "category", "enabled", "pricing", *(f"pricing.{name}" for name in LEGACY_NAMES))
_REQUIRED = ("id", "name", "provider", "enabled")
_LONGEST = {"id": 255, "name": 255, "provider": 80, "category": 80}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER = 40
# Powers of ten between which a price lies: below a nano-USD a million tokens, above what 64 bits of nano-USD hold.
_SMALLEST, _LARGEST = -15, 9
_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1", "enabled"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", "disabled"), False),
}


@dataclass(frozen=True)
class LegacyRow:
    """A model in the legacy shape. `pricing`: number texts in USD, to the digit; `extra`: all other fields."""

    line: int
    id: str
    name: str
    provider: str
    category: str
    pricing: dict[str, str]
    enabled: bool
    extra: dict[str, Any]


@dataclass(frozen=True)
class BadRow:
    """A row that can't be taken, and why; `id` as far as it could be read."""

    line: int
    id: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}{f' ({self.id})' if self.id else ''}: {self.reason}"


@dataclass(frozen=True)
class Adapter:
    """How another table's columns are named: legacy field -> theirs (a dotted path reaches into JSON objects), and
    what fields stand for that it does not have."""

    names: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.names, *self.defaults):
            if name not in FIELDS:
                raise BadFileError(f"There is no field {name!r} to map; the fields are {', '.join(FIELDS)}.")
        if set(self.names) & set(self.defaults):
            raise BadFileError("A field can be mapped or have a default, not both.")

    def theirs(self, name: str) -> str:
        return self.names.get(name, name)


class _RefusedError(ValueError):
    pass


def check_rows(rows: Iterable[RawRow], adapter: Adapter | None = None) -> tuple[list[LegacyRow], list[BadRow]]:
    """The good rows and the bad ones, each in the file's order.

    Raises BadFileError where a needed column is in no row at all: that is a mistake of the file or of the mapping.
    """
    adapter = adapter or Adapter()
    rows = list(rows)
    _require_columns(rows, adapter)
    good: list[LegacyRow] = []
    bad: list[BadRow] = []
    lines: dict[tuple[str, str], int] = {}
    for row in rows:
        try:
            checked = _check(row, adapter)
            key = (same_provider_key(checked.provider), checked.id)
            if key in lines:
                raise _RefusedError(f"the same model as in line {lines[key]}")
            lines[key] = row.line
            good.append(checked)
        except _RefusedError as error:
            named = _find(row.values, adapter.theirs("id"))
            bad.append(BadRow(row.line, named[:80] if isinstance(named, str) else "", str(error)))
    return good, bad


def same_provider_key(name: str) -> str:
    """What the spellings of one provider have in common: "fal", "fal.ai", "Fal AI" and "fal-ai" are one."""
    plain = re.sub(r"[^a-z0-9]+", "", name.lower())
    return _registered().get(plain, plain)


def _registered() -> dict[str, str]:
    return {re.sub(r"[^a-z0-9]+", "", entry.name.lower()): entry.slug for entry in base.registered()}


def _require_columns(rows: list[RawRow], adapter: Adapter) -> None:
    readable = [row for row in rows if not row.problem]
    if not readable:
        return
    missing = [
        name
        for name in _REQUIRED
        if name not in adapter.defaults
        and not any(_find(row.values, adapter.theirs(name)) is not None for row in readable)
    ]
    if missing:
        theirs = ", ".join(repr(adapter.theirs(name)) for name in missing)
        known = ", ".join(list(dict.fromkeys(name for row in readable[:100] for name in row.values))[:20])
        raise BadFileError(
            f"No row has {theirs}. The file has: {known or 'nothing'}. Name the right column with --map {missing[0]}=…"
            f" or give all rows one value with --default {missing[0]}=…"
        )


def _check(row: RawRow, adapter: Adapter) -> LegacyRow:
    if row.problem:
        raise _RefusedError(row.problem)
    found = {name: _find(row.values, adapter.theirs(name)) for name in FIELDS}
    for name, value in adapter.defaults.items():
        found[name] = value
    pricing, foreign = _pricing(found)
    extra = _extra(row.values, {adapter.theirs(name) for name in FIELDS})
    if foreign:
        extra["pricing"] = foreign
    return LegacyRow(
        line=row.line,
        id=_text("id", found["id"], no_spaces=True),
        name=_text("name", found["name"]),
        provider=_text("provider", found["provider"]),
        category=_text("category", found["category"] or "", empty=True),
        pricing=pricing,
        enabled=_switch(found["enabled"]),
        extra=extra,
    )


def _find(values: Mapping[str, Any], path: str) -> Any:
    """The value at a name, or at a dotted path into objects; None where there is none."""
    if path in values:
        return values[path]
    head, _, rest = path.partition(".")
    inner = values.get(head)
    return _find(inner, rest) if rest and isinstance(inner, Mapping) else None


def _text(name: str, value: Any, *, no_spaces: bool = False, empty: bool = False) -> str:
    if value is None or value == "":
        if empty:
            return ""
        raise _RefusedError(f"has no {name}")
    if not isinstance(value, str):
        raise _RefusedError(f"{name} is no text: {_shown(value)}")
    text = str(value)
    if not text.isprintable():
        raise _RefusedError(f"{name} has characters that can't be shown: {text[:60]!r}")
    if text != text.strip():
        raise _RefusedError(f"{name} has spaces around it: {text[:60]!r}")
    if no_spaces and " " in text:
        raise _RefusedError(f"id has a space in it: {text[:60]!r}; ids of models have none")
    if len(text) > _LONGEST[name]:
        raise _RefusedError(f"{name} is longer than {_LONGEST[name]} characters")
    if name == "provider" and not same_provider_key(text):
        raise _RefusedError(f"provider has neither letters nor digits: {text!r}")
    return text


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value is None or value == "":
        raise _RefusedError("does not say whether it is enabled")
    known = _WORDS.get(str(value).strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise _RefusedError(f"enabled is neither true nor false: {_shown(value)}")
    return known


def _pricing(found: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """The prices of the legacy shape as number texts, and whatever else stands under `pricing`."""
    given = found["pricing"]
    if isinstance(given, str) and not isinstance(given, NumberText) and given.strip():
        # A column that holds the JSON text of an object, as databases export it.
        try:
            given = json.loads(given, parse_float=NumberText, parse_int=NumberText, parse_constant=NumberText)
        except (json.JSONDecodeError, RecursionError):
            raise _RefusedError(f"pricing is no object: {_shown(given)}") from None
    given = {} if given in (None, "") else given
    if not isinstance(given, Mapping):
        raise _RefusedError(f"pricing is no object: {_shown(given)}")
    prices: dict[str, str] = {}
    for name in LEGACY_NAMES:
        value = found[f"pricing.{name}"]
        value = given.get(name) if value is None else value
        if value is not None and value != "":
            prices[name] = _price(f"pricing.{name}", value)
    return prices, {
        name: _verbatim(f"pricing.{name}", value) for name, value in given.items() if name not in LEGACY_NAMES
    }


def _price(name: str, value: Any) -> str:
    """The number text itself, once it is proven to be a price."""
    if not isinstance(value, str):
        raise _RefusedError(f"{name} is no number: {_shown(value)}")
    text = value.strip()
    if not _NUMBER.fullmatch(text) or len(text) > _LONGEST_NUMBER:
        hint = "; write 0.05, without a currency or a comma" if any(mark in text for mark in "$€,") else ""
        raise _RefusedError(f"{name} is no number: {_shown(text)}{hint}")
    number = Decimal(text)
    if number and not _SMALLEST <= number.adjusted() <= _LARGEST:
        raise _RefusedError(f"{name} is too {'large' if number.adjusted() > 0 else 'small'} to be a price: {text}")
    try:
        to_nano(parse_price(number, what=name))
    except NotMoney as error:
        raise _RefusedError(str(error)) from None
    return text


def _extra(values: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """The fields that the shape does not name. An object of which a path was taken is kept whole: nothing is lost."""
    return {name: _verbatim(name, value) for name, value in values.items() if name not in taken}


def _verbatim(name: str, value: Any) -> Any:
    """A value as JSON keeps it: a number as such where that is exact, else as its text."""
    if isinstance(value, NumberText):
        if not _NUMBER.fullmatch(value):
            raise _RefusedError(f"{name} is no number that JSON knows: {value}")
        if re.fullmatch(r"-?\d{1,15}", value):
            return int(value)
        number = float(value)
        return number if len(value) < 25 and Decimal(repr(number)) == Decimal(value) else str(value)
    if isinstance(value, Mapping):
        return {inner: _verbatim(f"{name}.{inner}", part) for inner, part in value.items()}
    if isinstance(value, list):
        return [_verbatim(name, part) for part in value]
    if isinstance(value, str) and ("\x00" in value or any("\ud800" <= mark <= "\udfff" for mark in value)):
        raise _RefusedError(f"{name} has characters that can't be stored")
    return value


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return repr(text[:60]) if isinstance(value, str) else text[:60]
