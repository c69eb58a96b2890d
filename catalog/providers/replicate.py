"""Replicate: its HTTP API, as its own OpenAPI document and recorded answers have it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from django.conf import settings

from catalog.providers import base, replicate_prices
from catalog.providers.base import (
    FetchedSchema,
    KeyCheck,
    ListedModel,
    ListingPage,
    NotOfferedError,
    PriceRow,
    PriceText,
    ProviderBadAnswerError,
    ProviderNotConfiguredError,
    ProviderRejectedError,
)
from catalog.providers.plain import PlainProvider
from catalog.providers.reading import Backoff, JsonReader
from catalog.providers.replicate_billing import Billing, text_of
from catalog.providers.replicate_key_check import check_by
from catalog.providers.replicate_schemas import category_of, document_of

_MOST_PAGES = 5_000
# Collections that say how a model is offered or used, not what it does.
OFFICIAL = "official"
_DROPPED = ("default_example", "latest_version")


class ReplicateProvider(PlainProvider):
    """One connection to Replicate. It tells nothing without a key."""

    slug = "replicate"
    name = "Replicate"
    needs_key_for_catalog = True

    def __init__(self, *, url: str, key: str, reader: JsonReader, web: JsonReader) -> None:
        self.source = url
        self._url, self._key, self._reader, self._web = url, key, reader, web
        # Listings carry every schema: what was listed is not asked for again by the same sync.
        self._documents: dict[str, bytes] = {}
        self._collections: dict[str, list[str]] = {}
        self._billing: dict[str, Billing] = {}

    def is_configured(self) -> bool:
        return bool(self._key)

    def close(self) -> None:
        self._reader.close()
        self._web.close()

    def list_models(
        self, *, category: str | None = None, status: str | None = None, query: str | None = None
    ) -> Iterator[ListingPage]:
        """All public models with a version and an example, and then those that only collections show.

        A model that gets a new version while we read moves to the front, so it may be listed twice, or by no page.
        """
        self._need_key()
        if query:
            yield self._found(query)
            return
        shown = self._read_collections()
        seen: set[str] = set()
        for number, rows in self._pages("/models"):
            page = self._read(number, rows)
            # Moved to another page meanwhile: listed is listed.
            fresh = [model for model in page.models if model.endpoint_id not in seen]
            seen.update(model.endpoint_id for model in fresh)
            yield ListingPage(number, [one for one in fresh if category in (None, one.category)], page.problems)
        rest = self._read(0, [row for endpoint_id, row in shown.items() if endpoint_id not in seen])
        yield ListingPage(0, [one for one in rest.models if category in (None, one.category)], rest.problems)

    def get_model(self, endpoint_id: str) -> ListedModel | None:
        row = self._row(endpoint_id)
        return None if row is None else next(iter(self._read(1, [row]).models), None)

    def fetch_schemas(self, endpoint_ids: Sequence[str]) -> list[FetchedSchema]:
        found = []
        for endpoint_id in endpoint_ids:
            if endpoint_id not in self._documents:
                self.get_model(endpoint_id)
            packed = self._documents.get(endpoint_id)
            if packed is None:
                # Not there, not to be read, or there by another name.
                continue
            document = orjson.loads(zlib.decompress(packed))
            problem = "" if document else "it has no version whose input is told"
            found.append(FetchedSchema(endpoint_id, document, problem))
        return found

    def fetch_prices(
        self, endpoint_ids: Sequence[str], *, apart: bool = False, progress: Callable[[int], None] | None = None
    ) -> dict[str, PriceRow]:
        return replicate_prices.fetch_prices(self._web, endpoint_ids, self._billing, progress=progress)

    def fetch_price_texts(self) -> Iterator[PriceText]:
        """Of the models whose prices were just fetched, and of those in the table."""
        known = {**replicate_prices.table().models, **self._billing}
        yield from (text_of(endpoint_id, billing) for endpoint_id, billing in known.items())

    def fetch_price_text(self, endpoint_id: str) -> PriceText | None:
        billing = self._billing.get(endpoint_id) or replicate_prices.table().models.get(endpoint_id)
        if billing is None:
            raise NotOfferedError("What a page says is read with the prices.")
        return text_of(endpoint_id, billing)

    def check_key(self) -> KeyCheck:
        if not self._key:
            return KeyCheck(
                "missing", "No key is set. Put REPLICATE_API_TOKEN=… into the environment or .env and restart."
            )
        return check_by(self._reader)

    def _need_key(self) -> None:
        if not self._key:
            raise ProviderNotConfiguredError(f"{self.name} lists its models only with a key, and none is set.")

    def _pages(self, path: str) -> Iterator[tuple[int, list[Any]]]:
        """Pages with their number from 1. `next` is an absolute address, and our key goes to none but our own host."""
        seen: set[str] = set()
        for number in range(1, _MOST_PAGES + 1):
            body = self._reader.get(path, {})
            rows, following = body.get("results"), body.get("next")
            if not isinstance(rows, list):
                raise ProviderBadAnswerError(f"{self.name} answered {path} without results.")
            yield number, rows
            if not following:
                return
            if not isinstance(following, str) or not following.startswith(f"{self._url}/"):
                raise ProviderBadAnswerError(f"{self.name} names a next page that is not its own.")
            path = following.removeprefix(self._url)
            if path in seen:
                raise ProviderBadAnswerError(f"{self.name} repeats itself: page {number} leads back to an earlier one.")
            seen.add(path)
        raise ProviderBadAnswerError(f"{self.name} lists more than {_MOST_PAGES} pages.")

    def _read_collections(self) -> dict[str, dict[str, Any]]:
        """The models that collections show, and in which of them each stands."""
        shown: dict[str, dict[str, Any]] = {}
        for _, rows in self._pages("/collections"):
            for row in rows:
                slug = row.get("slug") if isinstance(row, dict) else None
                if not isinstance(slug, str) or not slug:
                    continue
                for model in self._reader.get(f"/collections/{slug}", {}).get("models") or []:
                    if endpoint_id := _id_of(model):
                        shown[endpoint_id] = model
                        self._collections.setdefault(endpoint_id, []).append(slug)
        return shown

    def _found(self, query: str) -> ListingPage:
        found = self._reader.get("/search", {"query": query, "limit": 50}).get("models")
        rows = [one.get("model") for one in found or [] if isinstance(one, dict)]
        return self._read(1, rows)

    def _row(self, endpoint_id: str) -> dict[str, Any] | None:
        self._need_key()
        try:
            return self._reader.get(f"/models/{endpoint_id}", {})
        except ProviderRejectedError as error:
            if error.status == 404:
                return None
            raise

    def _read(self, number: int, rows: list[Any]) -> ListingPage:
        models, problems = [], []
        for position, row in enumerate(rows, start=1):
            endpoint_id = _id_of(row)
            if not endpoint_id:
                problems.append(f"page {number}, row {position}: no owner and name")
                continue
            try:
                models.append(self._model(endpoint_id, row))
            except (AttributeError, TypeError, RecursionError) as error:
                # Anybody may publish a model there: one that is odd or endlessly nested is not the others' trouble.
                problems.append(f"{endpoint_id}: it can't be read ({type(error).__name__})")
        return ListingPage(number, models, problems)

    def _model(self, endpoint_id: str, row: dict[str, Any]) -> ListedModel:
        newest = row.get("latest_version")
        version: dict[str, Any] = newest if isinstance(newest, dict) else {}
        slugs = self._collections.get(endpoint_id, [])
        description = str(row.get("description") or "")
        category, makes, said = category_of(
            version.get("openapi_schema"),
            collections=slugs,
            example=row.get("default_example"),
            name=row["name"],
            description=description,
        )
        document = document_of(endpoint_id, version.get("openapi_schema"), makes)
        self._documents[endpoint_id] = zlib.compress(orjson.dumps(document), 1)
        metadata = _metadata(row, version) | {"kind": "inference", "inferred": {"category": category, "from": said}}
        # Raises what is nested too deeply to be stored.
        orjson.dumps(metadata)
        is_official = row.get("is_official") is True or OFFICIAL in slugs
        return ListedModel(
            endpoint_id=endpoint_id,
            name=str(row["name"])[:255],
            category=category,
            description=description[:20_000],
            status="active",
            kind="inference",
            tags=[*(["official"] if is_official and OFFICIAL not in slugs else []), *slugs],
            thumbnail_url=str(row.get("cover_image_url") or "")[:1000],
            updated_at=str(version.get("created_at") or "")[:40],
            metadata=metadata,
            # Official models are run by their name: what runs is what their page shows.
            version="" if is_official else str(version.get("id") or "")[:80],
        )


def _id_of(row: Any) -> str:
    if not isinstance(row, dict) or not isinstance(row.get("owner"), str) or not isinstance(row.get("name"), str):
        return ""
    endpoint_id = f"{row['owner']}/{row['name']}"
    return endpoint_id if row["owner"] and row["name"] and len(endpoint_id) <= 255 else ""


def _metadata(row: dict[str, Any], version: dict[str, Any]) -> dict[str, Any]:
    """The row without what is large (nine tenths of it are logs of the example) or kept elsewhere (the schema)."""
    kept = {name: value for name, value in row.items() if name not in _DROPPED}
    example = row.get("default_example")
    return kept | {
        "latest_version": {name: version.get(name) for name in ("id", "created_at", "cog_version")}
        if version
        else None,
        "example_metrics": example.get("metrics") if isinstance(example, dict) else None,
    }


def open_replicate() -> ReplicateProvider:
    """Replicate as the settings describe it."""
    key = settings.REPLICATE_API_TOKEN
    return ReplicateProvider(
        url=settings.REPLICATE_URL,
        key=key,
        # Pages of 25 models are megabytes.
        reader=_reader(
            settings.REPLICATE_URL,
            {"Authorization": f"Bearer {key}"} if key else {},
            timeout=max(30, settings.CATALOG_TIMEOUT_SECONDS),
            retries=settings.REPLICATE_MAX_RETRIES,
        ),
        # The web site is public: the key has no business there. A page that does not come at once is done without.
        web=_reader(
            settings.REPLICATE_WEB_URL, {"Accept": "text/html"}, timeout=settings.CATALOG_TIMEOUT_SECONDS, retries=0
        ),
    )


def _reader(url: str, headers: dict[str, str], *, timeout: float, retries: int) -> JsonReader:
    return JsonReader(
        provider=ReplicateProvider.name,
        base_url=url,
        headers=headers,
        timeout=timeout,
        backoff=Backoff(retries=retries, base=settings.REPLICATE_RETRY_DELAY),
        connections=settings.CATALOG_SYNC_CONCURRENCY,
    )


base.register(
    ReplicateProvider.slug,
    ReplicateProvider.name,
    open_replicate,
    key_setting="REPLICATE_API_TOKEN",
    can_be_asked=lambda: bool(settings.REPLICATE_API_TOKEN),
    has_public_prices=True,
)
