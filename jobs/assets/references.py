"""Files of ours in the input of a request: `asset:ast_…` or `ast_…`, or the address at which we serve one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from catalog.validating.problems import Problem
from genfeed.media.headers import MediaFacts
from jobs.assets.inline import UnreadableDataError, facts_of_data, is_data
from jobs.assets.models import Asset
from jobs.assets.rendering import is_withheld
from jobs.assets.texts import replaced_texts, texts_in
from pricing.estimates.own_files import OwnFiles
from pricing.estimates.rendering import problems_error

_REFERENCE = re.compile(r"(?:asset:)?(ast_[0-9a-z]{26})")
_ADDRESS = re.compile(r"https?://[^/\s]+/assets/(ast_[0-9a-z]{26})/[^/\s]+\?exp=\d+&sig=[\w-]+")
_HINT = "Upload the file at /api/v1/uploads, and name it as asset:ast_… once its state is stored."


def look_up(input: Mapping[str, Any], client_id: int | None) -> OwnFiles:
    """The client's own files in an input, in one query. Raises ApiError, every file that can't be used named."""
    named = dict(texts_in(input))
    ids = {text: found[1] for text in named if (found := _REFERENCE.fullmatch(text) or _ADDRESS.fullmatch(text))}
    inline = _read_inline(named)
    if not ids:
        return OwnFiles(input, input, inline)
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
        inline | {_address(asset): _facts(asset) for asset in assets.values()},
    )


def ids_in(input: Any) -> list[str]:
    """The ids of the files that an input refers to by their ids, each once."""
    found = (_REFERENCE.fullmatch(text) for text, _ in texts_in(input))
    return list(dict.fromkeys(match[1] for match in found if match))


def _read_inline(named: Mapping[str, str]) -> dict[str, MediaFacts]:
    """What is known of the data URIs of an input: they hold their files."""
    known, problems = {}, []
    for text, path in named.items():
        if is_data(text):
            try:
                known[text] = facts_of_data(text)
            except UnreadableDataError as error:
                problems.append(Problem(path, "unusable_file", f"the data URI is no file: {error}", _HINT))
    if problems:
        raise problems_error(problems, where="input")
    return known


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
