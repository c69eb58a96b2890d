"""fal's billing events and the credit that is left, read from answers as fal writes them, and as it should not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from catalog.providers import fal_bills
from catalog.providers.base import (
    BillingPage,
    ProviderBadAnswerError,
    ProviderKeyError,
    ProviderNotConfiguredError,
    open_provider,
)
from catalog.providers.reading import Backoff, JsonReader

Handler = Callable[[httpx.Request], httpx.Response]
NOON = datetime(2026, 10, 2, 12, tzinfo=UTC)
# As fal's document has it, and `quantity` and `unit` as its answers have them beside it.
LINE = (
    '{"request_id":"01a0faf4","endpoint_id":"fal-ai/flux/dev","timestamp":"2026-10-02T11:59:58.123Z",'
    '"output_units":3.008,"unit_price":0.025,"percent_discount":10,"cost_subtotal":0.0752,"cost_discount":0.00752,'
    '"cost_total":0.06768,"cost_estimate_nano_usd":67680000,"quantity":3.008,"unit":"megapixels"}'
)


def reader_of(handler: Handler) -> JsonReader:
    reader = JsonReader(
        provider="fal.ai", base_url="http://fal.test", headers={}, timeout=1, backoff=Backoff(1, 0), connections=2,
        sleep=lambda _: None,
    )  # fmt: skip
    reader._http = httpx.Client(transport=httpx.MockTransport(handler))
    return reader


def bill(*lines: str, more: str = '"next_cursor":null,"has_more":false') -> httpx.Response:
    return httpx.Response(200, text=f'{{"billing_events":[{",".join(lines)}],{more}}}')


def read(handler: Handler, *, hours: float = 1) -> list[BillingPage]:
    return list(fal_bills.billing_events(reader_of(handler), NOON - timedelta(hours=hours), NOON))


def read_line(line: str) -> BillingPage:
    return read(lambda _: bill(line))[0]


def test_an_event_is_read_exactly() -> None:
    event = read_line(LINE).events[0]

    assert (event.request_id, event.endpoint_id, event.unit) == ("01a0faf4", "fal-ai/flux/dev", "megapixels")
    assert event.at == datetime(2026, 10, 2, 11, 59, 58, 123_000, tzinfo=UTC)
    assert (event.units, event.unit_price) == (Decimal("3.008"), Decimal("0.025"))
    assert (event.subtotal, event.discount, event.total) == (Decimal("0.0752"), Decimal("0.00752"), Decimal("0.06768"))


def test_the_amount_in_nano_usd_counts_where_the_other_went_through_a_float() -> None:
    line = LINE.replace('"cost_total":0.06768,', '"cost_total":0.06768000000000001,')
    assert read_line(line).events[0].total == Decimal("0.06768")


def test_an_event_as_the_document_has_it_names_no_unit() -> None:
    line = LINE.replace(',"quantity":3.008,"unit":"megapixels"', "").replace(
        '"output_units":3.008', '"output_units":null'
    )
    event = read_line(line).events[0]
    assert (event.units, event.unit) == (None, "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"request_id":"01a0faf4"', '"request_id":""'),
        ("2026-10-02T11:59:58.123Z", "yesterday"),
        ("2026-10-02T11:59:58.123Z", "2026-13-02T11:59:58Z"),
        ('"cost_total":0.06768', '"cost_total":-1'),
        ('"cost_total":0.06768', '"cost_total":NaN'),
        ('"cost_total":0.06768', '"cost_total":true'),
        ('"cost_total":0.06768', '"cost_total":"0.06768"'),
        ('"cost_total":0.06768', '"cost_total":0.5'),
        ('"cost_total":0.06768,', ""),
        ('"output_units":3.008', '"output_units":1e400'),
        ('"unit_price":0.025', '"unit_price":1e-400'),
        (LINE, "7"),
    ],
)
def test_a_line_that_makes_no_sense_is_told_and_not_read(old: str, new: str) -> None:
    page = read(lambda _: bill(LINE.replace(old, new), LINE))[0]

    assert len(page.events) == 1
    assert page.problems[0].startswith("page 1, line 1: ")


def test_pages_are_followed_by_their_cursor() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "cursor" in request.url.params:
            return bill(LINE)
        return bill(LINE, LINE, more='"next_cursor":"Mg","has_more":true')

    assert [len(page.events) for page in read(answer)] == [2, 1]


def test_more_than_ninety_days_are_asked_for_in_pieces_without_a_gap() -> None:
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.params["start"], request.url.params["end"]))
        return bill()

    read(answer, hours=24 * 100)

    assert len(asked) == 2
    assert asked[0][1] == asked[1][0]
    assert asked[1][1] == "2026-10-02T12:00:00.000Z"


def test_a_failure_in_between_is_tried_again() -> None:
    answers = [httpx.Response(503), bill(LINE)]
    assert len(read(lambda _: answers.pop(0))[0].events) == 1


def test_a_key_without_the_scope_is_refused_in_words() -> None:
    refusal = httpx.Response(403, json={"error": {"type": "authorization_error", "message": "Access denied"}})
    with pytest.raises(ProviderKeyError, match="Access denied"):
        read(lambda _: refusal)


def test_the_credit_that_is_left_is_read_exactly() -> None:
    text = '{"username":"my-team","credits":{"current_balance":24.123456789,"currency":"USD"}}'
    left = fal_bills.account_balance(reader_of(lambda _: httpx.Response(200, text=text)))
    assert (left.account, left.balance, left.currency) == ("my-team", Decimal("24.123456789"), "USD")


@pytest.mark.parametrize("credit", ["null", "{}", '{"current_balance":NaN,"currency":"USD"}', '{"currency":"USD"}'])
def test_an_answer_without_credit_is_an_error(credit: str) -> None:
    text = f'{{"username":"my-team","credits":{credit}}}'
    with pytest.raises(ProviderBadAnswerError):
        fal_bills.account_balance(reader_of(lambda _: httpx.Response(200, text=text)))


def test_without_an_admin_key_bills_are_not_configured(settings: Any) -> None:
    settings.FAL_ADMIN_KEY = ""
    fal = open_provider("fal")

    assert not fal.can_read_bills()
    with pytest.raises(ProviderNotConfiguredError, match="FAL_ADMIN_KEY"):
        next(fal.billing_events(NOON - timedelta(hours=1), NOON))
    with pytest.raises(ProviderNotConfiguredError, match="FAL_ADMIN_KEY"):
        fal.account_balance()


def test_the_admin_key_is_sent_with_bills_and_with_nothing_else(settings: Any) -> None:
    settings.FAL_KEY, settings.FAL_ADMIN_KEY = "id:plain", "id:admin"
    fal: Any = open_provider("fal")

    assert fal._bills._http.headers["Authorization"] == "Key id:admin"
    assert fal._reader._http.headers["Authorization"] == "Key id:plain"
