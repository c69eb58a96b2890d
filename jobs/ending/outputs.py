"""What a result must hold to be one: the media that the model's schema promises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pricing.counting.counts import OUTPUT_FIELDS


def has_expected_media(output: Any, outputs: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there is a file in an output whose schema promises one; True where it promises none."""
    promised = [item["name"] for item in outputs if item.get("media")]
    return not promised or any(True for _ in urls_in(output))


def with_whole_texts(output: Any, outputs: Iterable[Mapping[str, Any]]) -> Any:
    """An output in which each text is one, where the schema says that it is one: models that stream give pieces."""
    if not isinstance(output, dict):
        return output
    texts = {item["name"] for item in outputs if item.get("type") == "string"}
    return {name: "".join(value) if name in texts and _is_pieces(value) else value for name, value in output.items()}


def _is_pieces(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(piece, str) for piece in value)


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


def warnings_of(features: Mapping[str, Any], output: Any) -> list[dict[str, Any]]:
    """What a success lacks of what was asked for: code, message, hint and number; empty where it lacks nothing.

    `features` are the job's own, with the model's defaults filled in.
    """
    if output is None:
        return []
    wanted = next((features[name] for name in OUTPUT_FIELDS if name in features), None)
    found = []
    if missing := missing_of(output, wanted):
        found.append(
            {
                "code": "provider_error",
                "message": f"{missing} of {wanted} outputs that were asked for did not come.",
                "hint": "What came is delivered. Send the job again for the rest, with as many as are missing.",
                "missing": missing,
            }
        )
    if flagged := flagged_of(output):
        found.append(
            {
                "code": "content_refused",
                "message": f"The provider’s content check has flagged {flagged} of the outputs; they may be blank.",
                "hint": "Change the prompt or the input files.",
                "missing": flagged,
            }
        )
    return found


def flagged_of(output: Any) -> int:
    """How many outputs the provider's own content check has flagged."""
    flags = output.get("has_nsfw_concepts") if isinstance(output, Mapping) else None
    return sum(flag is True for flag in flags) if isinstance(flags, list) else 0


def missing_of(output: Any, wanted: Any) -> int:
    """How many files fewer than asked for came (`num_images` and the like), 0 where nothing is missing."""
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not isinstance(output, Mapping):
        return 0
    longest = max((len(value) for value in output.values() if isinstance(value, list)), default=wanted)
    return max(0, wanted - longest)
