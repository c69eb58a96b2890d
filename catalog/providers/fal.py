"""fal.ai: its Platform API (`GET /models`), as its own OpenAPI document and recorded answers describe it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from catalog.providers import base, fal_bills, fal_prices
from catalog.providers.base import (
    AccountBalance,
    BillingPage,
    FetchedSchema,
    KeyCheck,
    ListedModel,
    ListingPage,
    PriceRow,
    PriceText,
    ProviderBadAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderNotConfiguredError,
    ProviderRejectedError,
)
from catalog.providers.fal_pages import pages
from catalog.providers.reading import Backoff, JsonReader, Params

MODELS = "/models"


class FalProvider:
    """One connection to fal's Platform API. `key` may be empty: the listing works without, at lower rate limits."""

    slug = "fal"
    name = "fal.ai"
    needs_key_for_catalog = False

    def __init__(
        self,
        *,
        platform_url: str,
        key: str,
        reader: JsonReader,
        web: JsonReader,
        concurrency: int,
        bills: JsonReader | None = None,
    ) -> None:
        self.source = platform_url
        self._bills = bills
        self._key = key
        self._reader = reader
        self._web = web
        self._concurrency = concurrency

    def is_configured(self) -> bool:
        return bool(self._key)

    def close(self) -> None:
        self._reader.close()
        self._web.close()
        if self._bills:
            self._bills.close()

    def list_models(
        self, *, category: str | None = None, status: str | None = None, query: str | None = None
    ) -> Iterator[ListingPage]:
        """Filters are fal's own parameters, so that a narrow question is a small answer."""
        asked = {"category": category, "status": status, "q": query}
        params = {name: value for name, value in asked.items() if value}
        earlier: set[frozenset[str]] = set()
        for number, rows in pages(self._reader, MODELS, "models", params):
            page = _read_page(number, rows)
            ids = frozenset(model.endpoint_id for model in page.models)
            # The same page, not merely known models: one that is added while we read pushes the last of a page, which
            # we have, on to the next, where it may stand alone.
            if ids and ids in earlier:
                raise ProviderBadAnswerError(
                    f"{self.name} repeats itself: page {number} holds the models of an earlier one."
                )
            earlier.add(ids)
            yield page

    def get_model(self, endpoint_id: str) -> ListedModel | None:
        try:
            for number, rows in pages(self._reader, MODELS, "models", {"endpoint_id": [endpoint_id]}):
                for model in _read_page(number, rows).models:
                    if model.endpoint_id == endpoint_id:
                        return model
        except ProviderRejectedError as error:
            if error.status != 404:
                raise
        return None

    def fetch_schemas(self, endpoint_ids: Sequence[str]) -> list[FetchedSchema]:
        """Find mode takes 1 to 50 ids; with schemas its pages are shorter, so cursors are followed here too."""
        asked = set(endpoint_ids)
        found: dict[str, FetchedSchema] = {}
        # The repeated form: fal ignores `expand[]` silently.
        params: Params = {"endpoint_id": list(endpoint_ids), "expand": ["openapi-3.0"], "limit": len(endpoint_ids)}
        for _, rows in pages(self._reader, MODELS, "models", params):
            for row in rows:
                endpoint_id = row.get("endpoint_id") if isinstance(row, dict) else None
                if endpoint_id in asked:
                    found[endpoint_id] = _read_schema(endpoint_id, row.get("openapi"))
        return list(found.values())

    def fetch_prices(
        self, endpoint_ids: Sequence[str], *, apart: bool = False, progress: Callable[[int], None] | None = None
    ) -> dict[str, PriceRow]:
        self._need_key("lists its prices")
        return fal_prices.fetch_prices(
            self._reader, endpoint_ids, concurrency=self._concurrency, apart=apart, progress=progress
        )

    def fetch_price_texts(self) -> Iterator[PriceText]:
        return fal_prices.fetch_price_texts(self._web, concurrency=self._concurrency)

    def fetch_price_text(self, endpoint_id: str) -> PriceText | None:
        return fal_prices.fetch_price_text(self._web, endpoint_id)

    def historical_cost(self, endpoint_id: str, calls: int) -> Decimal | None:
        self._need_key("tells past costs")
        return fal_prices.historical_cost(self._reader, endpoint_id, calls)

    def can_read_bills(self) -> bool:
        return self._bills is not None

    def billing_events(self, start: datetime, end: datetime) -> Iterator[BillingPage]:
        return fal_bills.billing_events(self._need_bills(), start, end)

    def account_balance(self) -> AccountBalance:
        return fal_bills.account_balance(self._need_bills())

    def _need_bills(self) -> JsonReader:
        if self._bills is None:
            raise ProviderNotConfiguredError(
                f"{self.name} shows bills to a key of scope ADMIN only, and none is set. Put FAL_ADMIN_KEY=… into the "
                "environment or into .env and restart."
            )
        return self._bills

    def _need_key(self, what: str) -> None:
        if not self._key:
            raise ProviderNotConfiguredError(f"{self.name} {what} only with a key, and none is set.")

    def check_key(self) -> KeyCheck:
        """Asks for one price: the cheapest call that needs a key (fal Platform OpenAPI, GET /models/pricing)."""
        if not self._key:
            return KeyCheck("missing", "No key is set. Put FAL_KEY=… into the environment or into .env and restart.")
        try:
            self._reader.get("/models/pricing", {"endpoint_id": ["fal-ai/flux/dev"]})
        except ProviderKeyError:
            return KeyCheck("invalid", "fal refuses this key. Make a new one at fal.ai/dashboard/keys and set FAL_KEY.")
        except ProviderRejectedError:
            # A 404 for the price: the key was accepted before the model was looked up.
            return KeyCheck("valid", "fal accepts the key.")
        except ProviderError as error:
            return KeyCheck("unreachable", f"The key could not be checked. {error}")
        return KeyCheck("valid", "fal accepts the key.")


def _read_page(number: int, rows: list[Any]) -> ListingPage:
    models: list[ListedModel] = []
    problems: list[str] = []
    for position, row in enumerate(rows, start=1):
        endpoint_id = row.get("endpoint_id") if isinstance(row, dict) else None
        if not isinstance(endpoint_id, str) or not endpoint_id or len(endpoint_id) > 255:
            problems.append(f"page {number}, row {position}: no endpoint id")
            continue
        models.append(_read_model(endpoint_id, row.get("metadata")))
    return ListingPage(number, models, problems)


def _read_model(endpoint_id: str, raw: Any) -> ListedModel:
    """Metadata may be absent (fal: "may be absent for endpoints without registry entries"): the id then names it."""
    metadata: dict[str, Any] = raw if isinstance(raw, dict) else {}
    tags = metadata.get("tags")
    return ListedModel(
        endpoint_id=endpoint_id,
        name=_text(metadata, "display_name", 255) or endpoint_id,
        category=_text(metadata, "category", 80),
        description=_text(metadata, "description", 20_000),
        status="deprecated" if metadata.get("status") == "deprecated" else "active",
        kind=_text(metadata, "kind", 20) or None,
        tags=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        thumbnail_url=_text(metadata, "thumbnail_url", 1000),
        updated_at=_text(metadata, "updated_at", 40),
        metadata=metadata,
    )


def _read_schema(endpoint_id: str, raw: Any) -> FetchedSchema:
    """Expansion errors come in place of the document: `{"error": {"code": "expansion_failed", "message": …}}`."""
    if not isinstance(raw, dict):
        return FetchedSchema(endpoint_id, None, "fal answered without a schema")
    error = raw.get("error")
    if isinstance(error, dict) and "paths" not in raw:
        return FetchedSchema(
            endpoint_id, None, str(error.get("message") or error.get("code") or "expansion failed")[:300]
        )
    return FetchedSchema(endpoint_id, raw)


def _text(metadata: dict[str, Any], name: str, longest: int) -> str:
    value = metadata.get(name)
    return value[:longest] if isinstance(value, str) else ""


def open_fal() -> FalProvider:
    """fal as the settings describe it."""
    key, admin_key = settings.FAL_KEY, settings.FAL_ADMIN_KEY
    reader = _reader(settings.FAL_PLATFORM_URL, {"Authorization": f"Key {key}"} if key else {})
    # The web site is public: the key has no business there.
    web = _reader(settings.FAL_WEB_URL, {})
    return FalProvider(
        platform_url=settings.FAL_PLATFORM_URL,
        key=key,
        reader=reader,
        web=web,
        concurrency=settings.CATALOG_SYNC_CONCURRENCY,
        # A reader of its own: the key that reads bills is sent with nothing else.
        bills=_reader(settings.FAL_PLATFORM_URL, {"Authorization": f"Key {admin_key}"}) if admin_key else None,
    )


def _reader(base_url: str, headers: dict[str, str]) -> JsonReader:
    return JsonReader(
        provider=FalProvider.name,
        base_url=base_url,
        headers=headers,
        timeout=settings.CATALOG_TIMEOUT_SECONDS,
        backoff=Backoff(retries=settings.FAL_MAX_RETRIES, base=settings.FAL_RETRY_DELAY),
        connections=settings.CATALOG_SYNC_CONCURRENCY,
    )


base.register(FalProvider.slug, FalProvider.name, open_fal, key_setting="FAL_KEY")
