"""What a result must hold to be one: the media that the model's schema promises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def has_expected_media(output: Any, outputs: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there is a file in an output whose schema promises one; True where it promises none."""
    promised = [item["name"] for item in outputs if item.get("media")]
    return not promised or any(True for _ in urls_in(output))


def urls_in(value: Any) -> Iterator[str]:
    """Every address of a file in an output, wherever it stands: web addresses and data URIs."""
    if isinstance(value, str):
        if value.startswith(("http://", "https://", "data:")):
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from urls_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from urls_in(inner)


def missing_of(output: Any, wanted: Any) -> int:
    """How many files fewer than asked for came (`num_images` and the like), 0 where nothing is missing."""
    if not isinstance(wanted, int) or not isinstance(output, Mapping):
        return 0
    longest = max((len(value) for value in output.values() if isinstance(value, list)), default=wanted)
    return max(0, wanted - longest)
