"""fal's price list, price texts and past costs, read from answers as fal writes them, and as it should not."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from catalog.providers import base, fal_prices
from catalog.providers.base import (
    ProviderBadAnswerError,
    ProviderKeyError,
    ProviderNotConfiguredError,
    ProviderRateLimitedError,
    ProviderUnavailableError,
)
from catalog.providers.reading import Backoff, JsonReader

Handler = Callable[[httpx.Request], httpx.Response]


def reader_of(handler: Handler) -> JsonReader:
    reader = JsonReader(
        provider="fal.ai", base_url="http://fal.test", headers={}, timeout=1, backoff=Backoff(1, 0), connections=8,
        sleep=lambda _: None,
    )  # fmt: skip
    reader._http = httpx.Client(transport=httpx.MockTransport(handler))
    return reader


def asked(request: httpx.Request) -> list[str]:
    return request.url.params.get_list("endpoint_id")


def row(endpoint_id: str, price: str = "0.1", unit: str = "images", currency: str = "USD") -> str:
    return f'{{"endpoint_id":"{endpoint_id}","unit_price":{price},"unit":"{unit}","currency":"{currency}"}}'


def listing(*rows: str, more: str = '"next_cursor":null,"has_more":false') -> httpx.Response:
    return httpx.Response(200, text=f'{{"prices":[{",".join(rows)}],{more}}}')


def price_list(without: set[str], calls: list[list[str]] | None = None) -> Handler:
    """A price list that answers 404 for a batch as soon as one of its ids has no price."""

    def answer(request: httpx.Request) -> httpx.Response:
        ids = asked(request)
        if calls is not None:
            calls.append(ids)
        if without & set(ids):
            return httpx.Response(404, json={"error": {"type": "not_found", "message": "Resource not found"}})
        return listing(*(row(one) for one in ids))

    return answer


def fetch(handler: Handler, ids: list[str], **options: Any) -> dict[str, base.PriceRow]:
    return fal_prices.fetch_prices(reader_of(handler), ids, concurrency=4, **options)


def one_row(text: str, *ids: str) -> dict[str, base.PriceRow]:
    return fetch(lambda _: listing(text), list(ids or ("a",)))


# --- batches ---


def test_prices_come_in_batches_of_fifty():
    calls: list[list[str]] = []
    ids = [f"m/{number}" for number in range(120)]
    assert set(fetch(price_list(set(), calls), ids)) == set(ids)
    assert sorted(len(call) for call in calls) == [20, 50, 50]


@pytest.mark.parametrize("without", [set(), {"m/0"}, {"m/49"}, {"m/7", "m/8", "m/31"}, {f"m/{n}" for n in range(50)}])
def test_ids_without_a_price_are_found_inside_their_batch_and_spoil_no_other(without: set[str]):
    ids = [f"m/{number}" for number in range(50)]
    assert set(fetch(price_list(without), ids)) == set(ids) - without


def test_one_id_without_a_price_costs_few_calls():
    calls: list[list[str]] = []
    fetch(price_list({"m/33"}, calls), [f"m/{number}" for number in range(50)])
    assert len(calls) <= 13


def test_ids_thought_to_be_without_a_price_are_asked_one_by_one():
    calls: list[list[str]] = []
    found = fetch(price_list({"a", "b"}, calls), ["a", "b", "c"], apart=True)
    assert set(found) == {"c"}
    assert sorted(calls) == [["a"], ["b"], ["c"]]


def test_an_id_asked_for_twice_is_asked_once():
    calls: list[list[str]] = []
    fetch(price_list(set(), calls), ["a", "a"])
    assert calls == [["a"]]


def test_progress_is_told_to_the_end():
    told: list[int] = []
    fetch(price_list({"m/3"}), [f"m/{number}" for number in range(60)], progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 60


def test_further_pages_of_a_batch_are_followed():
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("cursor") == "Mg":
            return listing(row("b"))
        return listing(row("a"), more='"next_cursor":"Mg","has_more":true')

    assert set(fetch(answer, ["a", "b"])) == {"a", "b"}


# --- what a row says ---


@pytest.mark.parametrize("written", ["0.00006944444", "0.1", "1e-05", "12", "0.30000000000000004", "1.4E0"])
def test_a_price_is_read_exactly_as_it_is_written(written: str):
    assert one_row(row("a", written))["a"].unit_price == Decimal(written)


def test_a_unit_is_kept_as_it_is_written():
    assert one_row(row("a", unit="1000 characters "))["a"].unit == "1000 characters "


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("-0.1", "negative"), ("NaN", "not finite"), ('"NaN"', "not finite"), ("Infinity", "not finite"),
        ("-Infinity", "not finite"), ('"cheap"', "no number"), ("null", "no number"), ("true", "no number"),
        ("[]", "no number"), ("1e999999", "absurd"), ("1000000", "absurd"), ("1e-400", "decimals"),
    ],
)  # fmt: skip
def test_a_price_that_makes_no_sense_is_refused_in_words(written: str, words: str):
    found = one_row(row("a", written))["a"]
    assert found.unit_price is None
    assert words in found.problem
    assert found.answered


@pytest.mark.parametrize(
    "text",
    [
        '{"endpoint_id":"a","unit_price":1,"unit":null,"currency":"USD"}',
        '{"endpoint_id":"a","unit_price":1,"currency":"USD"}',
        '{"endpoint_id":"a","unit_price":1,"unit":"images","currency":"dollars"}',
        '{"endpoint_id":"a","unit_price":1,"unit":"images","currency":7}',
        '{"endpoint_id":"a","unit_price":1,"unit":"' + "x" * 61 + '","currency":"USD"}',
    ],
)
def test_a_row_that_is_malformed_is_refused_in_words(text: str):
    found = one_row(text)["a"]
    assert found.unit_price is None
    assert found.problem


def test_the_same_row_twice_is_one_row():
    answer = listing(row("a", "0.5"), row("a", "0.50"))
    assert fetch(lambda _: answer, ["a"])["a"].unit_price == Decimal("0.5")


def test_two_different_rows_for_one_model_are_refused():
    answer = listing(row("a", "0.5"), row("a", "0.6"))
    found = fetch(lambda _: answer, ["a"])["a"]
    assert found.unit_price is None
    assert "0.5" in found.problem
    assert "0.6" in found.problem


def test_a_row_that_nobody_asked_for_carries_no_price():
    found = fetch(lambda _: listing(row("a"), row("stranger")), ["a"])
    assert found["stranger"].unit_price is None
    assert found["a"].unit_price == Decimal("0.1")


def test_an_answer_that_leaves_an_id_out_says_that_it_has_no_price():
    assert set(fetch(lambda _: listing(row("a")), ["a", "b"])) == {"a"}


# --- trouble ---


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda _: httpx.Response(500), ProviderUnavailableError),
        (lambda _: httpx.Response(503, text="<html>down</html>"), ProviderUnavailableError),
        (lambda _: httpx.Response(429, headers={"Retry-After": "600"}), ProviderRateLimitedError),
        (lambda _: httpx.Response(401), ProviderKeyError),
        (lambda _: httpx.Response(200, text="<html>hello</html>"), ProviderBadAnswerError),
        (lambda _: httpx.Response(200, text=""), ProviderBadAnswerError),
        (lambda _: httpx.Response(200, json=[]), ProviderBadAnswerError),
        (lambda _: httpx.Response(200, json={"items": []}), ProviderBadAnswerError),
    ],
)
@pytest.mark.parametrize("models", [1, 3, 120])
def test_nothing_answered_at_all_is_an_error_in_words(answer: Handler, error: type[Exception], models: int):
    with pytest.raises(error) as trouble:
        fetch(answer, [f"m/{number}" for number in range(models)])
    assert "fal.ai" in str(trouble.value)


def test_a_server_that_is_gone_is_not_asked_for_every_model():
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append("")
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ProviderUnavailableError):
        fetch(answer, [f"m/{number}" for number in range(2000)])
    # Two tries each, for those that were under way.
    assert len(calls) <= 2 * 8


def test_a_model_that_the_provider_chokes_on_spoils_no_other():
    def answer(request: httpx.Request) -> httpx.Response:
        ids = asked(request)
        return httpx.Response(500) if "m/7" in ids else listing(*(row(one) for one in ids))

    found = fetch(answer, [f"m/{number}" for number in range(50)])
    assert [one for one, price in found.items() if not price.answered] == ["m/7"]
    assert len(found) == 50


def test_what_was_answered_before_a_limit_is_kept_and_the_rest_is_unanswered():
    calls = iter(range(1000))

    def answer(request: httpx.Request) -> httpx.Response:
        if next(calls) >= 1:
            return httpx.Response(429, headers={"Retry-After": "600"})
        return listing(*(row(one) for one in asked(request)))

    found = fal_prices.fetch_prices(reader_of(answer), [f"m/{n}" for n in range(100)], concurrency=1)
    assert sum(price.answered for price in found.values()) == 50
    assert all("429" in price.problem for price in found.values() if not price.answered)


def test_a_short_limit_is_waited_out():
    calls = iter(range(1000))

    def answer(request: httpx.Request) -> httpx.Response:
        limited = next(calls) == 0
        return httpx.Response(429, headers={"Retry-After": "1"}) if limited else listing(row("a"))

    assert set(fetch(answer, ["a"])) == {"a"}


def test_without_a_key_nothing_is_asked(settings):
    settings.FAL_KEY = ""
    with pytest.raises(ProviderNotConfiguredError, match="only with a key"):
        base.open_provider("fal").fetch_prices(["a"])


# --- price texts ---


def gallery(*pages: list[Any]) -> Handler:
    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        return httpx.Response(200, json={"items": pages[number - 1], "page": number, "pages": len(pages)})

    return answer


def texts(handler: Handler) -> Iterator[base.PriceText]:
    return fal_prices.fetch_price_texts(reader_of(handler), concurrency=2)


def test_all_pages_of_the_gallery_are_read():
    pages = [[{"id": f"m/{number}", "pricingInfoOverride": f"${number}"}] for number in range(5)]
    assert [text.note for text in texts(gallery(*pages))] == ["$0", "$1", "$2", "$3", "$4"]


def test_a_text_is_taken_with_billing_message_and_machine():
    item = {"id": "a", "pricingInfoOverride": " **$1**\x00 ", "billingMessage": "Rounded.", "machineType": "GPU-H100"}
    assert list(texts(gallery([item]))) == [base.PriceText("a", "**$1**", "Rounded.", "GPU-H100")]


@pytest.mark.parametrize("item", [None, 7, {}, {"id": ""}, {"id": 5}])
def test_items_that_name_no_model_are_passed_over(item: Any):
    assert [text.endpoint_id for text in texts(gallery([item, {"id": "a"}]))] == ["a"]


@pytest.mark.parametrize("value", [None, 5, ["x"], {"a": 1}])
def test_a_text_that_is_no_text_counts_as_none(value: Any):
    assert next(texts(gallery([{"id": "a", "pricingInfoOverride": value}]))).note == ""


@pytest.mark.parametrize("pages", [None, "many", -1, 10**9, True])
def test_a_gallery_that_does_not_say_its_size_is_refused_after_its_first_page(pages: Any):
    found = texts(lambda _: httpx.Response(200, json={"items": [{"id": "a"}], "pages": pages}))
    assert next(found).endpoint_id == "a"
    with pytest.raises(ProviderBadAnswerError):
        next(found)


def test_the_key_is_never_sent_to_the_web_site(fal):
    provider = base.open_provider("fal")
    list(provider.fetch_price_texts())
    provider.fetch_price_text("fal-ai/flux/dev")
    provider.close()
    assert not any(call["had_key"] for call in fal.requests())


def test_a_model_s_own_page_gives_the_text_and_not_the_row():
    page = "# X\n\n## Pricing\n\nIt costs **$2**.\n\nFor more details, see [fal.ai pricing](x).\n\n## API\n\n$5\n"
    assert one_page(page) == "It costs **$2**."


def test_a_page_that_only_repeats_the_row_has_no_text():
    assert one_page("## Pricing\n\n- **Price**: $0.0002 per seconds\n\nFor more details, see [x](y).\n") == ""
    assert one_page("# X\n\nNo prices here.\n") == ""


def one_page(page: str) -> str:
    found = fal_prices.fetch_price_text(reader_of(lambda _: httpx.Response(200, text=page)), "a/b")
    assert found is not None
    return found.note


def test_a_model_without_a_page_has_none():
    assert fal_prices.fetch_price_text(reader_of(lambda _: httpx.Response(404)), "a") is None


# --- past costs ---


def past(answer: httpx.Response, calls: list[httpx.Request] | None = None) -> Decimal | None:
    def respond(request: httpx.Request) -> httpx.Response:
        if calls is not None:
            calls.append(request)
        return answer

    return fal_prices.historical_cost(reader_of(respond), "a/b", 10)


def test_a_past_cost_is_the_exact_total_of_so_many_calls():
    calls: list[httpx.Request] = []
    body = '{"estimate_type":"historical_api_price","total_cost":1.2300000000000001,"currency":"USD"}'
    assert past(httpx.Response(200, text=body), calls) == Decimal("1.2300000000000001")
    assert b'"call_quantity":10' in calls[0].content.replace(b" ", b"")


@pytest.mark.parametrize(
    "answer", [httpx.Response(404), httpx.Response(400), httpx.Response(200, json={"total_cost": 0, "currency": "USD"})]
)
def test_a_model_without_history_has_no_past_cost(answer: httpx.Response):
    assert past(answer) is None


def test_a_refusal_for_too_many_questions_is_told_at_once_and_not_tried_again():
    calls: list[httpx.Request] = []
    with pytest.raises(ProviderRateLimitedError) as trouble:
        past(httpx.Response(429, headers={"Retry-After": "7"}), calls)
    assert (len(calls), trouble.value.retry_after) == (1, 7.0)


@pytest.mark.parametrize("body", [{"total_cost": -1}, {"total_cost": "much"}, {}, {"total_cost": 1, "currency": "EUR"}])
def test_a_past_cost_that_makes_no_sense_is_an_error(body: dict[str, Any]):
    with pytest.raises(ProviderBadAnswerError):
        past(httpx.Response(200, json=body))
