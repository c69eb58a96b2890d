"""fal's prices: the price list in batches that are cut where one id has no price, price texts, cost by history."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import batched
from threading import Lock
from typing import Any
from urllib.parse import quote

from catalog.providers.base import (
    PriceRow,
    PriceText,
    ProviderBadAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderRateLimitedError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from catalog.providers.reading import JsonReader, Params

PRICING = "/models/pricing"
ESTIMATE = "/models/pricing/estimate"
PRICE_BATCH = 50
GALLERY_SIZE = 200
# Cutting a batch around one model that the provider chokes on takes seven failing calls; more are the provider's own.
MOST_FAILURES = 14
MOST_PAGES = 100
MOST_GALLERY_PAGES = 200
LONGEST_TEXT = 20_000
# Nobody charges more than this for one unit of anything, and nobody prices finer than this many decimals.
LARGEST_PRICE = Decimal(100_000)
MOST_DECIMALS = 20

_CURRENCY = re.compile(r"[A-Z]{3}")
_PRICING_SECTION = re.compile(r"^## Pricing\s*$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
# fal's llms.txt: this line repeats the price row; the other one is on every page.
_LLMS_NOISE = re.compile(r"^(- \*\*Price\*\*: .*|For more details, see .*)$", re.MULTILINE)


class _NoPriceError(Exception):
    """At least one id of the batch has no price."""


def fetch_prices(
    reader: JsonReader,
    endpoint_ids: Sequence[str],
    *,
    concurrency: int,
    apart: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, PriceRow]:
    """Price rows by endpoint id (fal Platform OpenAPI, GET /models/pricing); ids without a price are left out.

    One id without a price makes the whole batch a 404 (observed by several clients), so such a batch is cut in halves
    until the id stands alone. Raises ProviderError when nothing at all was answered.
    """
    asking = _Asking(reader, concurrency, progress)
    return asking.ask_all(batched(dict.fromkeys(endpoint_ids), 1 if apart else PRICE_BATCH))


@dataclass(frozen=True)
class _Batch:
    """Ids to ask for in one call. `lacking`: one of them is known to have no price, so all at once would fail."""

    ids: tuple[str, ...]
    lacking: bool = False


@dataclass
class _Asking:
    """One reading of the price list: what came in so far, the last failure, and the trouble that ends it early."""

    reader: JsonReader
    concurrency: int
    progress: Callable[[int], None] | None
    rows: dict[str, PriceRow] = field(default_factory=dict)
    done: int = 0
    answers: int = 0
    failures: int = 0
    last: ProviderError | None = None
    trouble: ProviderError | None = None
    lock: Lock = field(default_factory=Lock)

    def ask_all(self, batches: Iterable[tuple[str, ...]]) -> dict[str, PriceRow]:
        pool = ThreadPoolExecutor(max_workers=self.concurrency, thread_name_prefix="prices")
        try:
            running: set[Future[list[_Batch]]] = {pool.submit(self._ask, _Batch(ids)) for ids in batches}
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    running |= {pool.submit(self._ask, batch) for batch in future.result()}
                if self.progress:
                    # Here and not in the threads: whoever listens may use a database connection of this one.
                    self.progress(self.done)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if self.last and not self.answers:
            raise self.trouble or self.last
        return self.rows

    def _ask(self, batch: _Batch) -> list[_Batch]:
        """Asks for one batch; returns what has to be asked next because of the answer."""
        first, second = _halves(batch.ids)
        if batch.lacking:
            if not first:
                # The only id that is left of those of which one has no price.
                return self._finish(batch.ids)
            return self._narrow(first, second)
        try:
            rows = self._call(batch.ids)
        except _NoPriceError:
            return self._ask(_Batch(batch.ids, lacking=True))
        except ProviderError as error:
            return self._fail(batch, error)
        return self._finish(batch.ids, rows)

    def _narrow(self, first: tuple[str, ...], second: tuple[str, ...]) -> list[_Batch]:
        """Asks for the first half of a batch that lacks a price: its answer says where the lack is."""
        try:
            rows = self._call(first)
        except _NoPriceError:
            return [_Batch(first, lacking=True), _Batch(second)]
        except ProviderError as error:
            return [*self._fail(_Batch(first), error), _Batch(second)]
        self._finish(first, rows)
        return [_Batch(second, lacking=True)]

    def _call(self, ids: tuple[str, ...]) -> dict[str, PriceRow]:
        if self.trouble:
            raise self.trouble
        try:
            rows = _read_rows(self.reader, ids)
        except ProviderRejectedError as error:
            if error.status != 404:
                raise
            self.answers += 1
            raise _NoPriceError from None
        self.answers += 1
        return rows

    def _finish(self, ids: tuple[str, ...], rows: dict[str, PriceRow] | None = None) -> list[_Batch]:
        with self.lock:
            self.rows |= rows or {}
            self.done += len(ids)
        return []

    def _fail(self, batch: _Batch, error: ProviderError) -> list[_Batch]:
        """Cuts a batch that one model may have spoilt; gives up on what will not get better by asking again."""
        with self.lock:
            self.failures += 1
            self.last = error
        passing = isinstance(error, ProviderBadAnswerError | ProviderRejectedError) or (
            isinstance(error, ProviderUnavailableError) and error.status is not None
        )
        if self.trouble is None and (not passing or self.failures > MOST_FAILURES):
            self.trouble = error
        first, second = _halves(batch.ids)
        if first and not self.trouble:
            return [_Batch(first), _Batch(second)]
        return self._finish(batch.ids, {one: PriceRow(one, problem=str(error), answered=False) for one in batch.ids})


def _halves(ids: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    middle = len(ids) // 2
    return ids[:middle], ids[middle:]


def _read_rows(reader: JsonReader, ids: tuple[str, ...]) -> dict[str, PriceRow]:
    found: dict[str, PriceRow] = {}
    params: Params = {"endpoint_id": list(ids)}
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        body = reader.get(PRICING, params if cursor is None else {**params, "cursor": cursor}, exact=True)
        rows = body.get("prices")
        if not isinstance(rows, list):
            raise ProviderBadAnswerError(f"{reader.provider} answered a question for prices without a list of prices.")
        for raw in rows:
            row = _read_row(raw, ids)
            if row:
                found[row.endpoint_id] = _one_of(found.get(row.endpoint_id), row)
        cursor = body.get("next_cursor")
        if not isinstance(cursor, str) or not body.get("has_more"):
            return found
    raise ProviderBadAnswerError(f"{reader.provider} listed prices of {len(ids)} models on {MOST_PAGES} pages.")


def _one_of(known: PriceRow | None, row: PriceRow) -> PriceRow:
    """The row, unless another one for the same model says something else."""
    if known is None or known == row:
        return row
    said = " and ".join(one.problem or f"{one.unit_price} {one.currency} per {one.unit!r}" for one in (known, row))
    return PriceRow(row.endpoint_id, problem=f"listed twice with different prices: {said}")


def _read_row(raw: Any, asked: Sequence[str]) -> PriceRow | None:
    """A row of the price list; what can't be used has no price and says why. None for a row without an id."""
    endpoint_id = raw.get("endpoint_id") if isinstance(raw, dict) else None
    if not isinstance(endpoint_id, str) or not endpoint_id:
        return None
    if endpoint_id not in asked:
        return PriceRow(endpoint_id, problem="a price for a model that was not asked for")
    unit, currency = raw.get("unit"), raw.get("currency", "USD")
    if not isinstance(unit, str) or len(unit) > 60 or "\x00" in unit:
        return PriceRow(endpoint_id, problem=f"the unit is no short text: {str(unit)[:80]!r}")
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        return PriceRow(endpoint_id, unit, problem=f"the currency is no code of three letters: {str(currency)[:40]!r}")
    price, problem = read_price(raw.get("unit_price"))
    return PriceRow(endpoint_id, unit, price, currency, problem)


def read_price(value: Any) -> tuple[Decimal | None, str]:
    """A unit price as it was written, or None and why it can't be one."""
    shown = str(value)[:40]
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None, f"the price is no number: {shown!r}"
    try:
        price = Decimal(value)
    except InvalidOperation:
        return None, f"the price is no number: {shown!r}"
    if not price.is_finite():
        return None, f"the price is not finite: {shown!r}"
    if price < 0:
        return None, f"the price is negative: {shown}"
    if price > LARGEST_PRICE:
        return None, f"the price of {shown} for one unit is absurd"
    if price and (price.adjusted() < -MOST_DECIMALS or _decimals(price) > MOST_DECIMALS):
        return None, f"the price has more than {MOST_DECIMALS} decimals: {shown}"
    return price, ""


def _decimals(price: Decimal) -> int:
    _, _, decimals = f"{price:f}".partition(".")
    return len(decimals.rstrip("0"))


def fetch_price_texts(web: JsonReader, *, concurrency: int) -> Iterator[PriceText]:
    """The gallery's price texts (FAL_WEB_URL/api/models, public, not promised by fal), its pages read in parallel."""
    first = _gallery_page(web, 1)
    yield from _read_items(first)
    pages = first.get("pages")
    if not isinstance(pages, int) or isinstance(pages, bool) or not 0 <= pages <= MOST_GALLERY_PAGES:
        raise ProviderBadAnswerError(f"{web.provider}'s gallery does not say how many pages it has: {pages!r}.")
    with ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="texts") as pool:
        for page in pool.map(lambda number: _gallery_page(web, number), range(2, pages + 1)):
            yield from _read_items(page)


def _gallery_page(web: JsonReader, number: int) -> dict[str, Any]:
    page = web.get("/api/models", {"page": number, "size": GALLERY_SIZE})
    if not isinstance(page.get("items"), list):
        raise ProviderBadAnswerError(f"{web.provider}'s gallery answered page {number} without a list of items.")
    return page


def _read_items(page: dict[str, Any]) -> Iterator[PriceText]:
    for item in page["items"]:
        endpoint_id = item.get("id") if isinstance(item, dict) else None
        if isinstance(endpoint_id, str) and endpoint_id:
            yield PriceText(
                endpoint_id,
                note=_text(item.get("pricingInfoOverride")),
                billing_message=_text(item.get("billingMessage")),
                machine_type=_text(item.get("machineType"))[:40],
            )


def fetch_price_text(web: JsonReader, endpoint_id: str) -> PriceText | None:
    """The price text on a model's own page for language models (FAL_WEB_URL/models/<id>/llms.txt)."""
    try:
        page = web.get_text(f"/models/{quote(endpoint_id)}/llms.txt")
    except ProviderRejectedError as error:
        if error.status != 404:
            raise
        return None
    section = _PRICING_SECTION.search(page.replace("\r\n", "\n"))
    return PriceText(endpoint_id, note=_text(_LLMS_NOISE.sub("", section[1]) if section else ""))


def _text(value: Any) -> str:
    return value.replace("\x00", "").strip()[:LONGEST_TEXT] if isinstance(value, str) else ""


def historical_cost(reader: JsonReader, endpoint_id: str, calls: int) -> Decimal | None:
    """The cost of so many calls by fal's history (fal Platform OpenAPI, POST /models/pricing/estimate), in USD.

    Asked once, because the third call within seconds is refused (observed). What an endpoint without history is
    answered is not documented: a refusal and a total of 0 both count as none.
    """
    body = {"estimate_type": "historical_api_price", "endpoints": {endpoint_id: {"call_quantity": calls}}}
    try:
        answer = reader.post_once(ESTIMATE, body)
    except (ProviderKeyError, ProviderRateLimitedError):
        raise
    except ProviderRejectedError as error:
        if error.status in (400, 404, 422):
            return None
        raise
    currency = answer.get("currency", "USD")
    total, problem = read_price(answer.get("total_cost"))
    if total is None or currency != "USD":
        raise ProviderBadAnswerError(
            f"{reader.provider} answered a question for past costs with {problem or currency!r}."
        )
    return total or None
