"""Reading switches from JSON: each reader takes a name and a value, and refuses with a sentence."""

import re
from typing import Any

from genfeed.sandbox.limits import RateLimit


class FaultError(ValueError):
    """A fault description that cannot be used; the message says what is wrong."""


def number(name: str, value: Any) -> float:
    """A number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise FaultError(f"{name} must be a number of 0 or more.")
    return float(value)


def integer(name: str, value: Any) -> int:
    """A whole number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FaultError(f"{name} must be a whole number of 0 or more.")
    return value


def flag(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise FaultError(f"{name} must be true or false.")
    return value


def text(name: str, value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise FaultError(f"{name} must be a text that is not empty.")
    return value


def ids(name: str, value: Any) -> list[str]:
    """A list of endpoint ids."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise FaultError(f"{name} must be a list of endpoint ids.")
    return value


def count_or_ids(name: str, value: Any) -> int | list[str]:
    """A whole number, or a list of endpoint ids."""
    return ids(name, value) if isinstance(value, list) else integer(name, value)


def numbers(name: str, value: Any) -> list[float]:
    """A list of numbers of 0 or more."""
    if not isinstance(value, list):
        raise FaultError(f"{name} must be a list of numbers.")
    return [number(name, one) for one in value]


def limit(name: str, value: Any) -> RateLimit:
    """So many requests in so many seconds."""
    if not isinstance(value, dict) or value.keys() != {"requests", "per_seconds"}:
        raise FaultError(f"{name} must be an object with requests and per_seconds.")
    return RateLimit(integer(f"{name}.requests", value["requests"]), number(name, value["per_seconds"]))


def pattern(name: str, value: Any) -> re.Pattern[str]:
    """A regular expression."""
    if not isinstance(value, str):
        raise FaultError(f"{name} must be a regular expression.")
    try:
        return re.compile(value)
    except re.error as error:
        raise FaultError(f"{name} is no regular expression: {error}.") from error


def one_of(*choices: str) -> Any:
    """A reader that takes one of these texts."""

    def read(name: str, value: Any) -> str:
        if value not in choices:
            raise FaultError(f"{name} must be one of {', '.join(choices)}.")
        return str(value)

    return read
