"""Files of ours in the input of a request: `asset:ast_…`, or the address at which we serve one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from catalog.validation_problems import Problem
from genfeed.media.headers import MediaFacts
from jobs.assets.models import Asset
from jobs.assets.rendering import is_withheld
from pricing.estimates.own_files import OwnFiles
from pricing.estimates.rendering import problems_error

_REFERENCE = re.compile(r"asset:(ast_[0-9a-z]{26})")
_ADDRESS = re.compile(r"https?://[^/\s]+/assets/(ast_[0-9a-z]{26})/[^/\s]+\?exp=\d+&sig=[\w-]+")
_HINT = "Upload the file at /api/v1/uploads, and name it as asset:ast_… once its state is stored."


def look_up(input: Mapping[str, Any], client_id: int | None) -> OwnFiles:
    """The client's own files in an input, in one query. Raises ApiError, every file that can't be used named."""
    named = dict(_texts(input))
    ids = {text: found[1] for text in named if (found := _REFERENCE.fullmatch(text) or _ADDRESS.fullmatch(text))}
    if not ids:
        return OwnFiles(input, input)
    own = Asset.objects.filter(pk__in=ids.values(), client_id=client_id or 0).select_related("client")
    assets = {asset.pk: asset for asset in own}
    if problems := [
        Problem(named[text], "unusable_file", problem, _HINT)
        for text, asset_id in ids.items()
        if (problem := _problem(assets.get(asset_id), asset_id))
    ]:
        raise problems_error(problems, where="input")
    addresses = {text: _address(assets[asset_id]) for text, asset_id in ids.items()}
    references = {text: f"asset:{asset_id}" for text, asset_id in ids.items()}
    return OwnFiles(
        replaced_texts(input, lambda text: addresses.get(text, text)),
        replaced_texts(input, lambda text: references.get(text, text)),
        {_address(asset): _facts(asset) for asset in assets.values()},
    )


def ids_in(input: Any) -> list[str]:
    """The ids of the files that an input refers to as `asset:…`, each once."""
    found = (_REFERENCE.fullmatch(text) for text, _ in _texts(input))
    return list(dict.fromkeys(match[1] for match in found if match))


def replaced_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of an input with every text changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: replaced_texts(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [replaced_texts(inner, change) for inner in value]
    return value


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of an input, and where it stands."""
    if isinstance(value, str):
        yield value, path
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}.{index}")


def _problem(asset: Asset | None, asset_id: str) -> str:
    if asset is None:
        return f"you have no file {asset_id}"
    if is_withheld(asset):
        return f"the file {asset_id} is withheld"
    return "" if asset.state == Asset.State.STORED else f"the file {asset_id} is {asset.state}"


def _address(asset: Asset) -> str:
    # Stands for the address that the provider's storage will give; nothing is ever asked there.
    return f"https://files.invalid/{asset.pk}/{asset.name}"


def _facts(asset: Asset) -> MediaFacts:
    return MediaFacts(
        asset.width,
        asset.height,
        None if asset.seconds is None else Fraction(str(asset.seconds)),
        asset.frames,
        None if asset.fps is None else Fraction(str(asset.fps)),
    )
