"""OpenAI's parameters in the fields of a model, by what the mapped schema says that its fields are.

No model is known by its id. A parameter that no field can take is refused by its name; what means "as the model does
it" is left out. Any other field of the model may be sent under its own name, as the SDK's `extra_body`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from genfeed.net.bounded_json import read_json
from jobs.assets.models import Asset
from jobs.protocols.openai.errors import refused
from jobs.protocols.openai.sizes import CannotSizeError, read_size, size_input
from pricing.counting.counts import OUTPUT_FIELDS
from pricing.counting.durations import duration_field, read_seconds
from pricing.counting.requests import Request, as_number

Field = dict[str, Any]

_PROMPTS = ("prompt", "text_prompt", "text")
_FORMATS = ("output_format", "image_format", "format")
# What leaves it to the model.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "size": ("auto",),
    "quality": ("auto",),
    "background": ("auto",),
    "moderation": ("auto",),
    "partial_images": (0, "0"),
    "stream": (False, "false"),
}
# Where else they are taken.
_ELSEWHERE = {
    "image": "Send it to /v1/images/edits.",
    "mask": "Send it to /v1/images/edits.",
    "input_reference": "Send it to /v1/videos.",
}
# Where a model has nothing to choose, all it does is this.
_PLAIN: dict[str, tuple[Any, ...]] = {"quality": ("standard",), "n": (1, "1")}
# The same under another word.
_SYNONYMS = {"jpeg": ("jpg",), "jpg": ("jpeg",), "hd": ("high",), "standard": ("medium",)}


@dataclass(slots=True)
class Fitted:
    """An input in the making: `names` says which parameter each of its fields came from, `stored` which files came."""

    fields: Mapping[str, Field]
    input: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    stored: list[Asset] = field(default_factory=list)

    def put(self, param: str, name: str, value: Any) -> None:
        """Sets a field; raises ApiError where another parameter has set it."""
        if name in self.input:
            raise refused(param, f"{self.names[name]} says the same.", "Send one of both.")
        self.input[name] = value
        self.names[name] = param


def fit(inputs: Iterable[Field], params: Mapping[str, Any]) -> Fitted:
    """The input of a model that says what the parameters say. Raises ApiError, which names the parameter."""
    fitted = Fitted({one["name"]: one for one in inputs})
    for param, value in params.items():
        if value in _NEUTRAL.get(param, ()):
            continue
        _FITTERS.get(param, _same_name)(fitted, param, value)
    return fitted


def prompt_field(fields: Mapping[str, Field]) -> str | None:
    """The field that a prompt goes into."""
    return next((name for name in _PROMPTS if name in fields), None)


def seconds_field(fields: Mapping[str, Field]) -> str | None:
    """The field that says how long the output is."""
    return duration_field(Request(fields, {}))


def _prompt(fitted: Fitted, param: str, value: Any) -> None:
    name = prompt_field(fitted.fields)
    if name is None:
        raise refused(param, "the model takes no prompt.")
    fitted.put(param, name, value)


def _count(fitted: Fitted, param: str, value: Any) -> None:
    count = as_number(value)
    if count is None or count != count.to_integral_value() or count < 1:
        raise refused(param, f"{str(value)[:40]!r} is no number of outputs.", "Send a whole number from 1.")
    name = next((name for name in OUTPUT_FIELDS if name in fitted.fields), None)
    if name is not None:
        chosen = _chosen(fitted.fields[name], str(int(count)))
        fitted.put(param, name, int(count) if chosen is None else chosen)
    elif count != 1:
        raise refused(param, "the model makes one output a request.", "Send the request so often, with n 1.")


def _size(fitted: Fitted, param: str, value: Any) -> None:
    size = read_size(value) if isinstance(value, str) else None
    if size is None or 0 in size:
        hint = 'Send width and height in pixels, as "1024x1024", or "auto".'
        raise refused(param, f"{str(value)[:40]!r} is no size.", hint)
    try:
        found = size_input(fitted.fields, *size)
    except CannotSizeError as error:
        raise refused(param, f"{value} can't be had: {error}.", 'Send another size, or "auto".') from None
    for name, part in found.items():
        fitted.put(param, name, part)


def _seconds(fitted: Fitted, param: str, value: Any) -> None:
    wanted = as_number(value)
    if wanted is None or wanted <= 0:
        raise refused(param, f"{str(value)[:40]!r} is no length in seconds.", 'Send it as "8".')
    name = seconds_field(fitted.fields)
    if name is None:
        raise refused(param, "the model has no field for the length.")
    item = fitted.fields[name]
    choices = {choice: read_seconds(name, choice) for choice in item.get("enum", ())}
    chosen = next((choice for choice, seconds in choices.items() if seconds == wanted), None)
    if choices and chosen is None:
        known = ", ".join(f"{seconds:f}" for seconds in choices.values() if seconds is not None)
        raise refused(param, f"the model makes {known} seconds.", "Send one of these.")
    if chosen is None:
        # In the field's own unit, which its name may say.
        written = wanted if read_seconds(name, wanted) == wanted else wanted * 1000
        number = int(written) if written == written.to_integral_value() else float(written)
        ending = "s" if str(item.get("default", "")).endswith("s") else ""
        chosen = f"{number}{ending}" if item["type"] == "string" else number
    fitted.put(param, name, chosen)


def _format(fitted: Fitted, param: str, value: Any) -> None:
    name = next((name for name in _FORMATS if name in fitted.fields), None)
    if name is None:
        raise refused(param, "the model has no choice of formats.", "Leave it out: it is made as the model makes it.")
    _choose(fitted, param, name, value)


def _same_name(fitted: Fitted, param: str, value: Any) -> None:
    if param not in fitted.fields:
        if value in _PLAIN.get(param, ()):
            return
        hint = _ELSEWHERE.get(param, "Leave it out, or choose a model that has it.")
        raise refused(param, "the model has no field for it.", hint)
    _choose(fitted, param, param, value)


def _choose(fitted: Fitted, param: str, name: str, value: Any) -> None:
    item = fitted.fields[name]
    if item.get("enum") and isinstance(value, str):
        chosen = _chosen(item, value)
        if chosen is None:
            known = ", ".join(str(choice) for choice in item["enum"])
            raise refused(param, f"{value[:40]!r} can't be had: the model knows {known}.", "Send one of these.")
        fitted.put(param, name, chosen)
    else:
        fitted.put(param, name, _read(item, value))


def _chosen(item: Field, value: str) -> Any:
    """The choice of an enum that a word means; None where there is none."""
    choices = {str(choice).lower(): choice for choice in item.get("enum", ())}
    return next((choices[word] for word in (value.lower(), *_SYNONYMS.get(value.lower(), ())) if word in choices), None)


def _read(item: Field, value: Any) -> Any:
    """A value for a field of this type: a form knows texts alone. What is no such value is left as it came."""
    if not isinstance(value, str) or item["type"] == "string":
        return value
    try:
        read = read_json(value)
    except orjson.JSONDecodeError:
        return value
    return value if isinstance(read, str) else read


_FITTERS: dict[str, Callable[[Fitted, str, Any], None]] = {
    "prompt": _prompt,
    "n": _count,
    "size": _size,
    "seconds": _seconds,
    "output_format": _format,
}
