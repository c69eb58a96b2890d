"""`POST /api/v1/estimates`: one or many, prices for all, costs for staff, every mistake named."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.validating import model_input
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.existing.duplicates import link
from pricing.money import parse_usd
from tests.factories import make_model, publish_now
from tests.pricing.estimates.sold import DURATION, PROMPT, RESOLUTION, VIDEO_URL, field, make_sold, post
from tests.pricing.selling.priced import add_rule

pytestmark = pytest.mark.django_db

PATH = "/estimates"
ONE = {"model": "fal-ai/flux/dev", "input": {"prompt": "a cat", "num_images": 2}}


def test_an_estimate_has_exactly_these_fields(asker: HttpClient) -> None:
    make_sold()

    assert post(asker, PATH, ONE) == {
        "model": "fal-ai/flux/dev",
        "price": "0.166666667",
        "currency": "USD",
        "unit": "images",
        "units": "2",
        "confidence": "exact",
        "basis": "price row: images: 2 (num_images 2)",
        "low": "0.166666667",
        "high": "0.166666667",
        "missing": [],
    }


@pytest.mark.once
def test_staff_see_the_cost_and_the_unit_price(admin_api: HttpClient) -> None:
    make_sold()

    found = post(admin_api, PATH, ONE)

    assert (found["cost"], found["unit_price"]) == ("0.05", "0.025")
    assert "0.025 USD" in found["basis"]


@pytest.mark.once
def test_a_client_never_sees_a_cost(asker: HttpClient) -> None:
    make_sold(unit_price="0.0271828")

    answer = asker.post("/api/v1/estimates", ONE, content_type="application/json")

    assert b"0271828" not in answer.content
    assert b"cost" not in answer.content


@pytest.mark.once
def test_in_core_mode_everybody_sees_the_cost_and_it_is_the_price(asker: HttpClient, settings: Any) -> None:
    settings.GENFEED_MODE = "core"
    make_sold()

    found = post(asker, PATH, ONE)

    assert found["cost"] == found["price"] == "0.05"


@pytest.mark.once
def test_a_client_pays_by_its_own_terms(asker: HttpClient) -> None:
    make_sold(unit_price="0.1")
    add_rule("client", client_id=Client.objects.get(name="Acme").pk, mode="markup", rate="0.5")

    assert post(asker, PATH, ONE)["price"] == "0.3"


@pytest.mark.once
@pytest.mark.parametrize("scopes", [("models:read",), ()])
def test_a_key_without_the_scope_is_refused(make_key: Callable[..., str], scopes: tuple[str, ...]) -> None:
    client = HttpClient(headers={"Authorization": f"Bearer {make_key(*scopes)}"})

    assert post(client, PATH, ONE, 403)["code"] == "forbidden_scope"


@pytest.mark.once
def test_nobody_without_a_key_is_answered() -> None:
    assert post(HttpClient(), PATH, ONE, 401)["code"] == "unauthorized"


@pytest.mark.once
def test_all_mistakes_of_an_input_are_named(asker: HttpClient) -> None:
    make_sold()

    body = post(asker, PATH, {"model": "fal-ai/flux/dev", "input": {"promt": "a", "num_images": 5}}, 422)

    assert body["code"] == "invalid_input"
    assert {problem["path"] for problem in body["details"]["problems"]} == {"promt", "prompt", "num_images"}
    assert all(name in body["message"] for name in ("promt", "prompt", "num_images"))


@pytest.mark.once
def test_an_unknown_field_has_a_code_of_its_own(asker: HttpClient) -> None:
    make_sold()

    body = post(asker, PATH, {"model": "fal-ai/flux/dev", "input": {"prompt": "a", "num_image": 2}}, 422)

    assert body["code"] == "unknown_field"
    assert body["hint"] == 'Did you mean "num_images"?'


@pytest.mark.once
def test_an_unknown_media_fact_is_refused_with_the_nearest(asker: HttpClient) -> None:
    make_sold()

    body = post(asker, PATH, {**ONE, "media": {"input_video_second": 5}}, 422)

    assert (body["code"], body["hint"]) == ("unknown_field", "Did you mean input_video_seconds?")


@pytest.mark.once
@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
@pytest.mark.parametrize("place", [b'"input": {"prompt": "a", "num_images": %s}', b'"media": {"input_fps": %s}'])
def test_a_number_that_json_does_not_have_is_refused(asker: HttpClient, place: bytes, number: bytes) -> None:
    make_sold()

    answer = asker.post(
        "/api/v1/estimates", b'{"model": "fal-ai/flux/dev", ' + place % number + b"}", content_type="application/json"
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.once
def test_an_unknown_model_is_refused_with_the_nearest_ids(asker: HttpClient) -> None:
    make_sold("fal-ai/flux/dev")
    make_sold("fal-ai/flux/schnell")

    body = post(asker, PATH, {"model": "fal-ai/flux/deb", "input": {}}, 404)

    assert body["code"] == "model_not_found"
    assert body["details"]["nearest"][0] == "fal-ai/flux/dev"


@pytest.mark.once
def test_an_id_of_two_providers_is_refused_with_both_names(asker: HttpClient) -> None:
    make_sold()
    make_sold(provider="replicate")

    body = post(asker, PATH, ONE, 409)

    assert body["code"] == "model_ambiguous"
    assert body["details"]["candidates"] == ["fal:fal-ai/flux/dev", "replicate:fal-ai/flux/dev"]
    assert post(asker, PATH, {**ONE, "model": "replicate:fal-ai/flux/dev"})["price"] == "0.166666667"


@pytest.mark.once
@pytest.mark.parametrize(
    ("columns", "status", "code"),
    [
        ({"status": "retired"}, 410, "model_retired"),
        ({"switch": "off"}, 409, "model_disabled"),
        ({"status": "deprecated"}, 409, "model_disabled"),
        ({"awaits_review": True}, 409, "model_disabled"),
    ],
)
def test_a_model_that_is_not_offered_is_refused_to_clients_and_shown_to_staff(
    asker: HttpClient, admin_api: HttpClient, columns: dict[str, Any], status: int, code: str
) -> None:
    make_sold(**columns)

    assert post(asker, PATH, ONE, status)["code"] == code
    assert post(admin_api, PATH, ONE)["cost"] == "0.05"


@pytest.mark.once
def test_who_asks_for_a_model_that_is_gone_is_shown_the_same_model_elsewhere(asker: HttpClient) -> None:
    gone, other = make_sold(status="retired"), make_sold("other/flux")
    link(gone, other, actor=SYSTEM, reason="The vendor says so.")

    body = post(asker, PATH, ONE, 410)

    assert body["hint"] == "The same model is offered as fal:other/flux."
    assert body["details"]["equivalents"] == ["fal:other/flux"]


@pytest.mark.once
@pytest.mark.parametrize("address", ["fal-ai/new", "fal:fal-ai/new"])
def test_a_model_that_only_lacks_a_price_says_so(asker: HttpClient, address: str) -> None:
    make_model("fal-ai/new", priced=False)
    publish_now()

    found = post(asker, PATH, {"model": address, "input": {"prompt": "a"}})

    assert (found["price"], found["high"], found["confidence"]) == (None, None, "unknown")
    assert found["missing"] == ["price"]


@pytest.mark.once
def test_a_video_of_unknown_length_is_told_for_six_seconds_and_has_no_price(asker: HttpClient) -> None:
    free = field("duration", "integer", required=True)
    make_sold("fal-ai/kling", "0.045", "seconds", inputs=[PROMPT, VIDEO_URL], media_type="video")
    make_sold("fal-ai/veo", "0.045", "seconds", inputs=[PROMPT, free], media_type="video")

    found = post(
        asker, PATH, {"model": "fal-ai/kling", "input": {"prompt": "a", "video_url": "https://example.com/a.mp4"}}
    )
    told = post(asker, PATH, {"model": "fal-ai/veo", "input": {"prompt": "a", "duration": 7}})

    # 6 s at 0.045 cost 0.27; seven tenths of the price are margin.
    assert (found["price"], found["confidence"]) == (None, "unknown")
    assert found["assumed"] == {"output_video_seconds": "6", "price": "0.9"}
    assert (told["price"], "assumed" in told) == ("1.05", False)


@pytest.mark.once
def test_what_is_missing_is_named(asker: HttpClient) -> None:
    make_sold("fal-ai/v2v", "0.01", "seconds", inputs=[VIDEO_URL], media_type="video", category="video-to-video")
    asked = {"model": "fal-ai/v2v", "input": {"video_url": "https://example.com/a.mp4"}}

    assert post(asker, PATH, asked)["missing"] == ["input_video_seconds"]
    assert post(asker, PATH, {**asked, "media": {"input_video_seconds": "12.5"}})["units"] == "12.5"


@pytest.mark.once
def test_many_questions_have_many_answers_in_their_order(asker: HttpClient) -> None:
    make_sold("fal-ai/one", "0.01")
    make_sold("fal-ai/two", "0.02")

    items = [{"model": name, "input": {"prompt": "a"}} for name in ("fal-ai/two", "fal-ai/one", "fal-ai/two")]

    found = post(asker, PATH, {"items": items})["items"]
    assert [(item["model"], item["price"]) for item in found] == [
        ("fal-ai/two", "0.066666667"),
        ("fal-ai/one", "0.033333333"),
        ("fal-ai/two", "0.066666667"),
    ]


@pytest.mark.once
def test_a_bad_question_spoils_no_other(asker: HttpClient) -> None:
    make_sold()
    make_sold("fal-ai/gone", status="retired")
    bad: list[Any] = [
        {"model": "no/such", "input": {}},
        {"model": "fal-ai/gone", "input": {"prompt": "a"}},
        {"model": "fal-ai/flux/dev", "input": {"promt": "a"}},
        {"input": {"prompt": "a"}},
        {**ONE, "extra": 1},
        {**ONE, "input": "text"},
        {**ONE, "media": [1]},
        None,
        "text",
        7,
    ]

    found = post(asker, PATH, {"items": [ONE, *bad, ONE]})["items"]

    assert [item["price"] for item in (found[0], found[-1])] == ["0.166666667"] * 2
    assert [item["error"]["code"] for item in found[1:-1]] == [
        "model_not_found",
        "model_retired",
        "invalid_input",
        *["invalid_request"] * 7,
    ]
    for item in found[1:-1]:
        assert {"code", "message", "hint", "requestId"} <= set(item["error"])


@pytest.mark.once
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": {"prompt": "a"}},
        {"items": []},
        {"items": [ONE] * 101},
        {"items": ONE},
        {"items": [ONE], "model": "fal-ai/flux/dev"},
        {"items": [ONE], "probe": True},
        {**ONE, "modle": 1},
        {**ONE, "input": [1]},
        {**ONE, "input": "a"},
        {**ONE, "model": ""},
        {**ONE, "model": 5},
        {**ONE, "probe": "perhaps"},
    ],
)
def test_a_body_that_makes_no_sense_is_refused(asker: HttpClient, body: Any) -> None:
    assert post(asker, PATH, body, 400)["code"] == "invalid_request"


@pytest.mark.once
@pytest.mark.parametrize("number", ["1e999999999", "1e-999999999", "0." + "0" * 3000 + "1", "1_000", "٣"])
def test_a_media_fact_that_nobody_means_is_refused_and_not_repeated(asker: HttpClient, number: str) -> None:
    make_sold(inputs=[PROMPT, VIDEO_URL], unit="seconds")
    media = {"input_video_seconds": number}

    body = post(asker, PATH, {"model": "fal-ai/flux/dev", "input": {}, "media": media}, 422)

    problem = next(one for one in body["details"]["problems"] if one["path"] == "media.input_video_seconds")
    assert problem["hint"] == "send a number of 0 or more"
    assert len(problem["message"]) < 250


@pytest.mark.once
@pytest.mark.parametrize("duration", ["1e999999999", "1e-999999999"])
def test_a_free_text_that_reads_as_an_endless_number_tells_no_length(asker: HttpClient, duration: str) -> None:
    make_sold(inputs=[PROMPT, field("duration")], unit="seconds")

    body = post(asker, PATH, {"model": "fal-ai/flux/dev", "input": {"prompt": "a", "duration": duration}})

    assert (body["price"], body["confidence"]) == (None, "unknown")
    assert len(body["basis"]) < 300


@pytest.mark.once
@pytest.mark.parametrize(("depth", "status", "code"), [(90, 422, "invalid_input"), (200, 400, "invalid_request")])
def test_an_input_nested_too_deeply_is_refused(asker: HttpClient, depth: int, status: int, code: str) -> None:
    make_sold()
    deep: Any = "a"
    for _ in range(depth):
        deep = [deep]

    assert post(asker, PATH, {"model": "fal-ai/flux/dev", "input": {"prompt": deep}}, status)["code"] == code


def test_a_hundred_questions_cost_few_queries(asker: HttpClient, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        make_sold(f"fal-ai/m{number}")
    items = [{"model": f"fal-ai/m{number % 20}", "input": {"prompt": "a"}} for number in range(100)]

    with django_assert_max_num_queries(14):
        post(asker, PATH, {"items": items})
    with django_assert_max_num_queries(2):
        post(asker, PATH, {"items": items})


def test_opaque_models_are_asked_about_together(asker: HttpClient, django_assert_max_num_queries: Any) -> None:
    for number in range(30):
        make_sold(f"fal-ai/m{number}", unit="units")
    items = [{"model": f"fal-ai/m{number}", "input": {"prompt": "a"}} for number in range(30)]

    with django_assert_max_num_queries(16):
        found = post(asker, PATH, {"items": items})

    assert {item["confidence"] for item in found["items"]} == {"unknown"}


@pytest.mark.once
def test_a_new_revision_compiles_no_schema_again(asker: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sold()
    post(asker, PATH, ONE)
    monkeypatch.setattr(model_input, "compile_validator", None)

    publish_now()

    assert post(asker, PATH, ONE)["confidence"] == "exact"


@pytest.mark.once
@pytest.mark.parametrize(("name", "values"), [("duration", ["5", "10"]), ("resolution", ["480p", "720p", "1080p"])])
def test_a_dearer_choice_is_never_cheaper(asker: HttpClient, name: str, values: list[str]) -> None:
    tiers = [
        {"when": [{"field": "resolution", "is": [value]}], "price": price}
        for value, price in (("480p", "0.05"), ("720p", "0.1"), ("1080p", "0.15"))
    ]
    rule = {"version": 1, "charges": [{"name": "seconds", "per": {"of": "seconds"}, "price": tiers}]}
    make_sold("fal-ai/veo", "0.1", "seconds", inputs=[PROMPT, DURATION, RESOLUTION], rule=rule)

    prices = [
        parse_usd(post(asker, PATH, {"model": "fal-ai/veo", "input": {"prompt": "a", name: value}})["price"])
        for value in values
    ]

    assert prices == sorted(set(prices))
