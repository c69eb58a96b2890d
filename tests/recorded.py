"""The recorded catalogs of the provider, for tests. They lie beside the checkout and are read from there."""

import gzip
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from catalog.schemas.mapping import MappedSchema, map_openapi

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "fal"
JANUARY = FOLDER / "catalog-2026-01.jsonl.gz"
JUNE = FOLDER / "catalog-2026-06.jsonl.gz"

requires_recorded = pytest.mark.skipif(
    not (JANUARY.exists() and JUNE.exists()),
    reason="the recorded catalogs are not there: they are expected in ../shared/fal, beside the checkout",
)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """One dict per recorded endpoint: endpoint_id, metadata, openapi and, in June, its price."""
    with gzip.open(path) as lines:
        for line in lines:
            yield orjson.loads(line)


@cache
def documents(path: Path) -> dict[str, dict[str, Any]]:
    """The usable OpenAPI documents by endpoint id. Shared between tests: do not change them."""
    return {row["endpoint_id"]: row["openapi"] for row in rows(path) if row["openapi"] and "paths" in row["openapi"]}


@cache
def mapped(path: Path) -> dict[str, MappedSchema]:
    """Every usable document, mapped, by endpoint id. Shared between tests: do not change them."""
    return {endpoint_id: map_openapi(document, endpoint_id) for endpoint_id, document in documents(path).items()}


@cache
def categories(path: Path) -> dict[str, str]:
    """The category of every endpoint that has metadata."""
    return {row["endpoint_id"]: row["metadata"]["category"] for row in rows(path) if row["metadata"]}
