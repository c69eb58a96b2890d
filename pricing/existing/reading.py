"""Reading a file of models, JSON or CSV, into raw rows with their line numbers. What a row means is not known here.

Numbers of a JSON file stay the text that stands in the file: a price is never a float on its way.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_DELIMITERS = ",;\t"
# Where a JSON object carries the list, as `GET /models/fal` and its relatives do.
_LIST_KEYS = ("models", "items", "data")


class BadFileError(ValueError):
    """A file that can't be read at all; the message says where and what to do."""


class NumberText(str):
    """A JSON number as it stands in the file."""

    __slots__ = ()


@dataclass(frozen=True)
class RawRow:
    """One row: `values` by the file's own names. `problem`: why it can't be read; the others are read all the same."""

    line: int
    values: dict[str, Any]
    problem: str = ""


def read_file(content: bytes, *, name: str = "") -> list[RawRow]:
    """The rows of a JSON or CSV file, told apart by the ending of `name`, else by the first character.

    Raises BadFileError for what is neither, is empty, or breaks off.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFileError(f"The file is no UTF-8 text (byte {error.start}). Save it as UTF-8.") from None
    if not text.strip():
        raise BadFileError("The file is empty.")
    ending = name.lower().rpartition(".")[2]
    is_json = ending == "json" or (ending != "csv" and text.lstrip()[0] in "[{")
    return list(_json_rows(text) if is_json else _csv_rows(text))


def _json_rows(text: str) -> Iterator[RawRow]:
    position = _start_of_list(text)
    line, counted = 1, 0
    while True:
        position = _skip(text, position)
        if position < len(text) and text[position] == "]":
            return
        line, counted = line + text.count("\n", counted, position), position
        value, position = _value_at(text, position)
        if isinstance(value, dict):
            yield RawRow(line, value, _problem_of_object(value))
        else:
            yield RawRow(line, {}, "is no object with fields")
        position = _skip(text, position)
        if position < len(text) and text[position] == ",":
            position += 1


def _start_of_list(text: str) -> int:
    """The position after the `[` of the list of models; the whole document has been proven to be JSON then."""
    try:
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadFileError(f"The file is no JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise BadFileError("The file is no list of models: it is nested too deeply.") from None
    position = _skip(text, 0)
    if text[position] == "[":
        return position + 1
    if text[position] == "{":
        position = _skip(text, position + 1)
        while text[position] != "}":
            key, position = _value_at(text, position)
            position = _skip(text, _skip(text, position) + 1)  # over the colon
            if key in _LIST_KEYS and text[position] == "[":
                return position + 1
            _, position = _value_at(text, position)
            position = _skip(text, position)
            if text[position] == ",":
                position = _skip(text, position + 1)
    raise BadFileError(
        'The file holds no list of models: a JSON list was expected, or an object with one under "models".'
    )


def _value_at(text: str, position: int) -> tuple[Any, int]:
    return _DECODER.raw_decode(text, position)


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


class _TwiceNamed(dict[str, Any]):
    """An object of the file that names a field twice: the first value would be lost unseen."""

    twice = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    marked = _TwiceNamed(value)
    marked.twice = _twice(name for name, _ in pairs)[0]
    return marked


def _twice(names: Iterable[str]) -> list[str]:
    """The names that stand there more than once, in their order."""
    return [name for name, count in Counter(names).items() if count > 1]


def _problem_of_object(value: dict[str, Any]) -> str:
    for part in (value, *(inner for inner in value.values() if isinstance(inner, dict))):
        if isinstance(part, _TwiceNamed):
            return f"names the field {part.twice!r} twice"
    return ""


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=NumberText, parse_int=NumberText, parse_constant=NumberText
)


def _csv_rows(text: str) -> Iterator[RawRow]:
    header_line = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    read = 0  # lines; a row with line breaks in its cells is named by its first one
    try:
        for cells in reader:
            line, read = read + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if header:
                yield _csv_row(header, cells, line)
            else:
                header = _header(cells)
    except csv.Error as error:
        raise BadFileError(f"The file is no CSV: line {reader.line_num}: {error}.") from None


def _header(cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if twice := sorted(_twice(header)):
        raise BadFileError(f"The first line names a column twice: {', '.join(map(repr, twice[:20]))}.")
    if "" in header:
        raise BadFileError("The first line must name every column; one has no name.")
    return header


def _csv_row(header: list[str], cells: list[str], line: int) -> RawRow:
    if len(cells) != len(header):
        return RawRow(line, {}, f"has {len(cells)} cells where the first line names {len(header)} columns")
    return RawRow(line, dict(zip(header, cells, strict=True)))
