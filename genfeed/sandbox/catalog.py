"""The models the sandbox offers: read from a catalog file or the built-in table, kept as ready-made answer bytes.

A catalog file has one endpoint a line (JSON, gzip or plain): `endpoint_id`, `metadata` and `openapi` as
`GET /v1/models?expand=openapi-3.0` gives them (or null), and optionally `price` as a row of `GET /v1/models/pricing`,
`price_note`, `billing_message`, `machine_type`.
"""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

GZIP_MAGIC = b"\x1f\x8b"
NOT_AVAILABLE = {"error": {"code": "expansion_failed", "message": "OpenAPI schema not available for this endpoint"}}
NOT_AVAILABLE_BYTES = orjson.dumps(NOT_AVAILABLE)


class CatalogError(ValueError):
    """A catalog or a row of it cannot be used; the message says which and why, for a person."""


@dataclass(frozen=True, slots=True)
class Model:
    """One endpoint. `openapi` is its encoded document (or encoded expansion error), None when there is none.

    The three `head_*` are its listing object up to, and without, the closing brace: with metadata as a caller with a
    key sees it, as one without a key sees it, and without metadata. Joining bytes is all that a listing costs.
    """

    endpoint_id: str
    metadata: dict[str, Any] | None
    openapi: bytes | None
    price: dict[str, Any] | None
    price_note: str | None
    billing_message: str | None
    machine_type: str | None
    haystack: str
    head_keyed: bytes
    head_anonymous: bytes
    head_bare: bytes

    def to_row(self) -> dict[str, Any]:
        """The model in the shape of a catalog file's row, so that a change can be laid over it."""
        return {
            "endpoint_id": self.endpoint_id,
            "metadata": None if self.metadata is None else dict(self.metadata),
            "openapi": None if self.openapi is None else orjson.loads(self.openapi),
            "price": None if self.price is None else dict(self.price),
            "price_note": self.price_note,
            "billing_message": self.billing_message,
            "machine_type": self.machine_type,
        }


def make_model(row: dict[str, Any], *, base_url: str) -> Model:
    """Build a model from a row. A thumbnail that starts with "/" is a picture of this server, under `base_url`.

    Raises CatalogError for a row that the server could not answer with.
    """
    endpoint_id = row.get("endpoint_id")
    if not isinstance(endpoint_id, str) or not endpoint_id:
        raise CatalogError("A row needs a non-empty string endpoint_id.")
    for key in ("metadata", "openapi", "price"):
        if not isinstance(row.get(key), dict | None):
            raise CatalogError(f"{key} of {endpoint_id} must be an object or null.")
    metadata = _complete_metadata(endpoint_id, row["metadata"], base_url) if row.get("metadata") else None
    openapi = row.get("openapi")
    head_bare = b'{"endpoint_id":' + orjson.dumps(endpoint_id)
    head_keyed = head_anonymous = head_bare
    if metadata is not None:
        head_keyed = head_bare + b',"metadata":' + orjson.dumps(metadata | {"is_favorited": False})
        head_anonymous = head_bare + b',"metadata":' + orjson.dumps(metadata | {"is_favorited": None})
    return Model(
        endpoint_id=endpoint_id,
        metadata=metadata,
        openapi=None if openapi is None else orjson.dumps(openapi),
        price=_complete_price(endpoint_id, row["price"]) if row.get("price") else None,
        price_note=row.get("price_note"),
        billing_message=row.get("billing_message"),
        machine_type=row.get("machine_type"),
        haystack=_haystack(metadata),
        head_keyed=head_keyed,
        head_anonymous=head_anonymous,
        head_bare=head_bare,
    )


def _haystack(metadata: dict[str, Any] | None) -> str:
    """What a free text search looks at: name, description, category (fal Platform OpenAPI, GET /models, `q`)."""
    if metadata is None:
        return ""
    return "\n".join((metadata["display_name"], metadata["description"], metadata["category"])).lower()


def _complete_metadata(endpoint_id: str, metadata: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Fill what fal's document requires, so that a short row still gives a valid answer."""
    defaults: dict[str, Any] = {
        "display_name": endpoint_id,
        "category": "unknown",
        "description": "",
        "status": "active",
        "tags": [],
        "updated_at": "2026-01-01T00:00:00.000Z",
        "is_favorited": False,
        "thumbnail_url": f"/thumbnails/{endpoint_id}.svg",
        "model_url": f"https://fal.run/{endpoint_id}",
        "date": "2026-01-01T00:00:00.000Z",
        "highlighted": False,
        "pinned": False,
    }
    complete: dict[str, Any] = defaults | {key: value for key, value in metadata.items() if value is not None}
    if complete["thumbnail_url"].startswith("/"):
        complete["thumbnail_url"] = base_url + complete["thumbnail_url"]
    return complete


def _complete_price(endpoint_id: str, price: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(price.get("unit_price"), int | float) or not isinstance(price.get("unit"), str):
        raise CatalogError(f"price of {endpoint_id} needs a number unit_price and a string unit.")
    return {
        "endpoint_id": endpoint_id,
        "unit_price": price["unit_price"],
        "unit": price["unit"],
        "currency": price.get("currency", "USD"),
    }


def enterprise_status(endpoint_id: str) -> bytes:
    """The encoded enterprise status of an endpoint; which one it has follows from its id, so it never changes."""
    return b'"pending"' if crc32(endpoint_id.encode()) % 4 == 0 else b'"ready"'


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a catalog file. Raises CatalogError when it is missing or a line is no JSON object."""
    try:
        raw = path.read_bytes()
        text = gzip.decompress(raw) if raw.startswith(GZIP_MAGIC) else raw
    except (OSError, EOFError) as error:
        raise CatalogError(f"The catalog {path} cannot be read: {error}.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise CatalogError(f"Line {number} of {path} is not JSON: {error}.") from error
        if not isinstance(row, dict):
            raise CatalogError(f"Line {number} of {path} is not a JSON object.")
        yield row


def build_models(rows: Iterable[dict[str, Any]], *, base_url: str) -> dict[str, Model]:
    """Models by endpoint id, in the order of the rows."""
    models = (make_model(row, base_url=base_url) for row in rows)
    return {model.endpoint_id: model for model in models}
