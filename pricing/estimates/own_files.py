"""Files that a client has brought here already: what is known of them answers what an input alone can't show.

Files are kept a floor above; `look_up` is set there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from genfeed.media.headers import MediaFacts
from pricing.counting.requests import make_request, pace_setting_files
from pricing.estimates.facts import Facts
from pricing.estimates.probing import Finding, facts_of_findings


@dataclass(frozen=True)
class OwnFiles:
    """An input whose own files are named by web addresses (`input`), as the model's schema wants them.

    `references` is the same input with `asset:…` there; `known` what is known of each file, by its web address.
    """

    input: Mapping[str, Any]
    references: Mapping[str, Any]
    known: Mapping[str, MediaFacts] = field(default_factory=dict)


# Given an input and a client's key. Raises ApiError for files that the client does not have.
look_up: Callable[[Mapping[str, Any], int | None], OwnFiles] = lambda input, _: OwnFiles(input, input)  # noqa: E731


def with_known(
    facts: Facts, filled: Mapping[str, Any], told: Mapping[str, Any] | None, own: OwnFiles
) -> Mapping[str, Any] | None:
    """The media facts of a request, those of own files filled in. What was told wins."""
    if not own.known:
        return told
    request = make_request(facts.inputs, filled)
    findings = [
        Finding(name, kind, own.known.get(url))
        for kind in ("image", "video", "audio")
        for name, url in pace_setting_files(request, kind)
    ]
    return facts_of_findings(findings) | {name: value for name, value in (told or {}).items() if value is not None}
