"""Sentences of price texts that carry no price, and those that only show one by example."""

from __future__ import annotations

import re

_NOISE = tuple(
    re.compile(pattern)
    for pattern in (
        r"^(?:for|with) \$\d[\d.]*,? (?:you|can)\b.*",
        r"^note: pricing may change in the future",
        r"^if an openai api key is provided, it will be directly charged by openai",
        r"^otherwise,? you will be charged fal credits",
        r"^(?:the|training) cost of training depends on .*|^the training cost depends on .*",
        r"^your request will cost different amounts based on .*",
        r"^here, num_of_layers refers to .*",
        r"^[a-z]+$",
        r"^due to provider-side modifications.*",
        r"^tokens ?\(video\) ?= ?\(height x width x fps x duration\) ?/ ?1024$",
        r"^it scales per step$",
        r"^the total cost is multiplied based on .*",
        r"^a generation is typically .*",
        r"^see more info .*",
    )
)
_EXAMPLE = tuple(
    re.compile(pattern)
    for pattern in (
        r"^for example\b|^for instance\b|^similarly\b",
        r"^with (?:\d+ reference images? and )?\d+ steps,",
        r"^it scales per step, so ",
        r"^note: \d+ steps is the minimum",
        r"^\d[\d.]* \(megapixels\) x ",
    )
)


def is_noise(sentence: str) -> bool:
    """Whether a cleaned sentence says nothing that a price depends on."""
    return any(pattern.match(sentence) for pattern in _NOISE)


def is_example(sentence: str) -> bool:
    """Whether a cleaned sentence shows a price for one case, against which a rule can be tried."""
    return any(pattern.match(sentence) for pattern in _EXAMPLE)
