"""Items that were not accepted, and what is answered where none was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genfeed.clients.errors import ApiError
from jobs.batches.models import BatchRefusal


@dataclass(frozen=True, slots=True)
class Refused:
    """One item, by its place in the batch, and why it was not accepted."""

    index: int
    error: ApiError

    def as_json(self) -> dict[str, Any]:
        """As it stands in the answer that refuses the whole batch."""
        error = self.error
        told = {"index": self.index, "code": error.code, "message": error.message, "hint": error.hint}
        return told if error.details is None else told | {"details": error.details}

    def as_row(self, batch_id: str) -> BatchRefusal:
        """As it stays with the batch; not saved."""
        return BatchRefusal(
            batch_id=batch_id,
            index=self.index,
            code=self.error.code,
            message=_storable(self.error.message),
            hint=_storable(self.error.hint),
            details=_storable(self.error.details),
        )


def _storable(value: Any) -> Any:
    """Messages repeat what clients wrote, and no database keeps null characters."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    return [_storable(inner) for inner in value] if isinstance(value, list | tuple) else value


def none_of(refused: Sequence[Refused], size: int) -> ApiError:
    """The refusal of a whole batch: the code of its first item that failed, and all that failed by name."""
    refused = sorted(refused, key=lambda one: one.index)
    first = refused[0]
    words = (
        f"None of the {size} items can be accepted"
        if len(refused) == size
        else f"{len(refused)} of {size} items can't be accepted, so none was"
    )
    return ApiError(
        first.error.code,
        f"{words}. items.{first.index}: {first.error.message}",
        first.error.hint,
        status=first.error.status,
        details={"items": [one.as_json() for one in refused]},
        retry_after=first.error.retry_after,
    )
