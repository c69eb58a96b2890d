"""An input without what its model does not know, for callers who are used to having that ignored."""

from __future__ import annotations

import copy
from typing import Any

from catalog.validating.checking import Validator, validate_input
from catalog.validating.problems import Problem

# What is unknown may stand within what comes to light only when something else was taken out.
_ROUNDS = 5


def without_unknown(validator: Validator, value: Any) -> tuple[Any, list[str]]:
    """The input without unknown fields, at whatever depth, and their paths. `value` is not changed."""
    dropped: list[str] = []
    kept = value
    for _ in range(_ROUNDS):
        if not isinstance(kept, dict) or validator.compiled.is_valid(kept):
            break
        unknown = [problem for problem in validate_input(validator, kept) if problem.place]
        if not unknown:
            break
        if not dropped:
            kept = copy.deepcopy(kept)
        dropped += [problem.path for problem in unknown if _drop(kept, problem)]
    return kept, dropped


def _drop(value: Any, problem: Problem) -> bool:
    *way, name = problem.place
    for part in way:
        value = value[part]
    return value.pop(name, problem) is not problem
