"""Data URIs in the items of a batch: uploaded before the items are taken, and deleted again with those refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from genfeed.clients.errors import ApiError
from jobs.assets import inline
from jobs.assets.models import Asset
from jobs.batches.items import Ready
from jobs.batches.refusing import Refused


@contextmanager
def with_files(ready: Sequence[Ready], client_id: int) -> Iterator[tuple[list[Ready], list[Refused]]]:
    """Yields the items with `asset:…` for each data URI, and the refusals: those of files that no upload may be.

    The block adds whatever else it refuses. In the end the refused items' files are deleted, all where it fails.
    """
    able: list[Ready] = []
    refused: list[Refused] = []
    files: dict[int, list[Asset]] = {}
    try:
        for one in ready:
            if one.stored:
                able.append(one)
                continue
            try:
                outgoing, files[one.index] = inline.keep(one.prepared.outgoing, client_id)
            except ApiError as error:
                refused.append(Refused(one.index, error))
            else:
                able.append(replace(one, prepared=replace(one.prepared, outgoing=outgoing)))
        yield able, refused
    except BaseException:
        for assets in files.values():
            inline.discard(assets)
        raise
    for each in refused:
        inline.discard(files.get(each.index, []))
