"""What addresses of lists say after the question mark."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Schema
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from genfeed.clients.errors import ApiError


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC, which is meant too where no offset is given; pydantic’s error beyond the calendar.

    Databases take no offset of most of a day, which Python and RFC 3339 do.
    """
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("no_moment", "lies beyond the calendar") from None


Moment = Annotated[datetime, AfterValidator(in_utc)]


def refuse_unknown_parameters(request: HttpRequest, filters: type[Schema]) -> None:
    """A misspelt filter must not look like a list that holds everything."""
    names = [field.alias or name for name, field in filters.model_fields.items()]
    unknown = sorted(set(request.GET) - set(names))
    if unknown:
        known = ", ".join(names)
        raise ApiError("invalid_request", f"Unknown parameter: {', '.join(unknown)}.", f"Parameters are: {known}.")


def encode_cursor(number: int) -> str:
    """A cursor that names the row of this number as the last of its page."""
    return base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """The number in a cursor; raises ApiError for what no list gave out."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        if text.isdecimal() and len(text) <= 18:
            return int(text)
    except (binascii.Error, ValueError):
        pass
    raise ApiError("invalid_request", "The cursor is not one that this list gave out.", "Start again without a cursor.")
