"""`POST /api/v1/models/select`: by task and requirements, ranked with reasons, never by brand."""

from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog import published
from catalog.models import AIModel
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.estimates import history
from pricing.existing.duplicates import link
from pricing.models import ExistingModel, ModelPricing, UsageRecord
from tests import kept_rows
from tests.pricing.estimates.sold import IMAGE_URL, NUM_IMAGES, PROMPT, VIDEO_OUT, field, make_sold, post
from tests.pricing.selling.priced import add_rule

pytestmark = pytest.mark.django_db

PATH = "/models/select"
TASK = {"task": "text-to-image"}


def sell(endpoint_id: str, price: str, quality: str = "", *, minutes: float | None = None, **options: Any) -> AIModel:
    """A text-to-image model at this price per image (no margin), perhaps with a stated quality and latency."""
    columns = {"metadata": {"duration_estimate": minutes} if minutes else {}, "inputs": [PROMPT, NUM_IMAGES]} | options
    model = make_sold(endpoint_id, price, "images", **columns)
    ModelPricing.objects.filter(model=model).update(quality=quality)
    return model


@pytest.fixture(autouse=True)
def _no_margin(db: None) -> None:
    kept_rows.once(("no margin",), lambda: add_rule("global", mode="markup", rate="0"))


@pytest.fixture
def four(_no_margin: None) -> None:
    """Four models that differ in price, quality and speed, each best in one of them or in none."""
    kept_rows.once(("four to choose from",), _make_four)
    published.forget()


def _make_four() -> None:
    sell("m/cheap", "0.004", "low", minutes=2)
    sell("m/fast", "0.03", "medium", minutes=0.1)
    sell("m/good", "0.15", "ultra", minutes=1)
    sell("m/sound", "0.02", "high", minutes=0.5)


def chosen(client: HttpClient, **needs: Any) -> list[str]:
    return [item["model"] for item in post(client, PATH, TASK | needs)["items"]]


def test_a_choice_has_exactly_these_fields(asker: HttpClient) -> None:
    sell("m/one", "0.02", "high", minutes=0.5, limits={"max_resolution": "2K"}, capabilities=["seed"], name="One")

    found = post(asker, PATH, TASK)

    assert found == {
        "items": [
            {
                "rank": 1, "model": "m/one", "name": "One", "provider": "fal", "category": "text-to-image",
                "media_type": "image", "price": "0.02", "currency": "USD", "confidence": "exact",
                "quality": {"tier": "high", "source": "admin", "evidence": []},
                "latency": {"seconds": 30.0, "source": "provider"}, "max_resolution": 2048, "capabilities": ["seed"],
                "same_model_as": [],
                "reason": "1 of 1 by price: 0.02 USD per output, quality high, about 30 s",
            }
        ],
        "left_out": [],
        "requirements": {
            "task": "text-to-image", "media_type": None, "provider": None, "max_price": None, "max_latency": None,
            "min_quality": None, "min_resolution": None, "min_duration": None, "inputs": [], "capabilities": [],
            "exclude": [], "strategy": "cheapest",
        },
        "total": 1,
    }  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(
    ("strategy", "order"),
    [
        ({}, ["m/cheap", "m/sound", "m/fast", "m/good"]),
        ({"strategy": "cheapest"}, ["m/cheap", "m/sound", "m/fast", "m/good"]),
        ({"strategy": "fastest"}, ["m/fast", "m/sound", "m/good", "m/cheap"]),
        ({"strategy": "quality"}, ["m/good", "m/sound", "m/fast", "m/cheap"]),
        ({"strategy": "balanced"}, ["m/sound", "m/fast", "m/good", "m/cheap"]),
        ({"urgency": "high"}, ["m/fast", "m/sound", "m/good", "m/cheap"]),
        ({"urgency": "high", "strategy": "quality"}, ["m/good", "m/sound", "m/fast", "m/cheap"]),
        ({"urgency": "low"}, ["m/cheap", "m/sound", "m/fast", "m/good"]),
    ],
)
def test_a_strategy_puts_its_own_best_first(
    asker: HttpClient, four: None, strategy: dict[str, str], order: list[str]
) -> None:
    assert chosen(asker, **strategy) == order


@pytest.mark.once
@pytest.mark.parametrize(
    ("needs", "fitting"),
    [
        ({"budget": "low"}, {"m/cheap"}),
        ({"budget": "medium"}, {"m/cheap", "m/fast", "m/sound"}),
        ({"budget": "high"}, {"m/cheap", "m/fast", "m/sound", "m/good"}),
        ({"quality": "draft"}, {"m/cheap", "m/fast", "m/sound", "m/good"}),
        ({"quality": "production"}, {"m/fast", "m/sound", "m/good"}),
        ({"quality": "premium"}, {"m/sound", "m/good"}),
        ({"quality": "ultra"}, {"m/good"}),
        ({"max_price": "0.02"}, {"m/cheap", "m/sound"}),
        ({"max_price": 0.0199}, {"m/cheap"}),
        ({"budget": "high", "max_price": "0.005"}, {"m/cheap"}),
        ({"max_latency": 30}, {"m/fast", "m/sound"}),
        ({"exclude": ["m/cheap", "fal:m/fast"]}, {"m/sound", "m/good"}),
        ({"budget": "medium", "quality": "premium"}, {"m/sound"}),
    ],
)
def test_requirements_hold(asker: HttpClient, four: None, needs: dict[str, Any], fitting: set[str]) -> None:
    assert set(chosen(asker, **needs)) == fitting


@pytest.mark.once
def test_the_words_of_a_budget_are_settings(asker: HttpClient, four: None, settings: Any) -> None:
    settings.BUDGET_LOW = settings.BUDGET_HIGH

    assert len(chosen(asker, budget="low")) == 4


@pytest.mark.once
@pytest.mark.parametrize(
    ("needs", "fitting"),
    [
        ({"task": "text-to-image"}, ["m/picture"]),
        ({"media_type": "image", "capabilities": ["upscale_factor"]}, ["m/upscaler"]),
        ({"task": "text-to-video", "min_resolution": "1080p", "capabilities": ["audio_output"]}, ["m/sounding"]),
        ({"task": "text-to-video", "min_duration": 5}, ["m/short", "m/long"]),
        ({"task": "text-to-video", "min_duration": 10}, ["m/long"]),
    ],
)
def test_a_task_is_named_by_what_must_come_out(asker: HttpClient, needs: dict[str, Any], fitting: list[str]) -> None:
    film = {"category": "text-to-video", "media_type": "video"}
    sell("m/picture", "0.01")
    sell("m/upscaler", "0.02", category="image-to-image", capabilities=["upscale_factor"])
    sell("m/short", "0.1", limits={"max_duration": 8, "max_resolution": "720p"}, capabilities=["audio_output"], **film)
    sell("m/long", "0.2", limits={"max_duration": 10, "max_resolution": "1080p"}, **film)
    sell("m/sounding", "0.3", limits={"max_resolution": "1080p"}, capabilities=["audio_output"], **film)

    assert [item["model"] for item in post(asker, PATH, needs)["items"]] == fitting


@pytest.mark.once
def test_needed_inputs_resolution_and_capabilities_hold(asker: HttpClient) -> None:
    sell("m/plain", "0.01", limits={"max_resolution": "1K"})
    sell("m/large", "0.02", limits={"max_resolution": "4K"}, capabilities=["lora"])
    sell("m/edit", "0.03", inputs=[PROMPT, IMAGE_URL, field("mask", media="image")])

    assert chosen(asker, inputs=["image"]) == ["m/edit"]
    assert chosen(asker, inputs=["text", "mask"]) == ["m/edit"]
    assert chosen(asker, min_resolution="2K") == ["m/large"]
    assert chosen(asker, min_resolution="1024x2048") == ["m/plain", "m/large"]
    assert chosen(asker, min_resolution=1024) == ["m/plain", "m/large"]
    assert chosen(asker, capabilities=["lora"]) == ["m/large"]


@pytest.mark.once
def test_the_price_is_of_one_output(asker: HttpClient) -> None:
    four_images = {**NUM_IMAGES, "default": 4}
    sell("m/four", "0.02", inputs=[PROMPT, {**four_images, "required": True}])

    assert post(asker, PATH, TASK)["items"][0]["price"] == "0.02"


@pytest.mark.once
def test_a_client_is_shown_its_own_prices(asker: HttpClient, four: None) -> None:
    add_rule("client", client_id=Client.objects.get(name="Acme").pk, mode="markup", rate="1")

    assert post(asker, PATH, TASK)["items"][0]["price"] == "0.008"


@pytest.mark.once
def test_a_price_that_is_only_bounded_says_so(asker: HttpClient) -> None:
    make_sold("m/gpu", "0.001", "compute seconds", inputs=[PROMPT])

    assert "at most" in post(asker, PATH, TASK)["items"][0]["reason"]


@pytest.mark.once
def test_the_price_of_an_existing_model_is_its_owners(asker: HttpClient) -> None:
    model = sell("m/own", "0.02")
    ExistingModel.objects.create(
        legacy_id="own", provider_name="fal", name="Own", pricing={"image": "0.5"}, model=model, keeps_price=True
    )

    assert post(asker, PATH, TASK)["items"][0]["price"] == "0.5"


def test_latency_comes_from_our_own_jobs_where_there_are_enough(asker: HttpClient) -> None:
    model = sell("m/one", "0.02", minutes=5)
    for number in range(5):
        UsageRecord.objects.create(job=f"j{number}", model=model, cost=1, charge=1, cost_source="none", seconds=7.5)
    history.forget()

    assert post(asker, PATH, TASK)["items"][0]["latency"] == {"seconds": 7.5, "source": "usage"}


@pytest.mark.once
def test_the_nearest_that_do_not_fit_are_named_with_all_their_reasons(asker: HttpClient, four: None) -> None:
    found = post(asker, PATH, TASK | {"max_price": "0.025", "quality": "premium"})

    assert [item["model"] for item in found["items"]] == ["m/sound"]
    reasons = {item["model"]: item["reasons"] for item in found["left_out"]}
    assert reasons == {
        "m/cheap": ["its quality is low, below high"],
        "m/good": ["costs 0.15 USD per output, more than 0.025"],
        "m/fast": ["costs 0.03 USD per output, more than 0.025", "its quality is medium, below high"],
    }
    assert list(reasons) == ["m/cheap", "m/good", "m/fast"]


@pytest.mark.once
def test_where_nothing_fits_the_requirements_are_named(asker: HttpClient, four: None) -> None:
    body = post(asker, PATH, TASK | {"budget": "low", "quality": "premium", "capabilities": ["lora"]}, 404)

    assert body["code"] == "model_not_found"
    for words in ("task text-to-image", "at most 0.01 USD", "quality high", "capabilities lora"):
        assert words in body["message"]
    assert body["details"]["left_out"]
    assert body["details"]["requirements"]["max_price"] == "0.01"
    assert body["hint"] == ("Ask for less. The nearest is m/cheap, but: its quality is low, below high; lacks lora.")


@pytest.mark.once
def test_a_model_that_is_not_offered_is_never_chosen(asker: HttpClient, four: None) -> None:
    sell("m/retired", "0.001", status="retired")
    sell("m/off", "0.001", switch="off")

    assert len(chosen(asker)) == 4


@pytest.mark.once
def test_a_replacement_is_of_the_same_task_and_another_model(asker: HttpClient, four: None) -> None:
    make_sold("m/video", "0.001", "seconds", category="text-to-video", media_type="video", outputs=VIDEO_OUT)
    sell("m/gone", "0.001", status="retired")

    for name in ("m/cheap", "m/gone"):
        found = post(asker, PATH, {"instead_of": name})
        assert name not in [item["model"] for item in found["items"]]
        assert {item["category"] for item in found["items"]} == {"text-to-image"}


def test_a_confirmed_equivalent_replaces_a_model_whatever_its_category_says(asker: HttpClient, four: None) -> None:
    twin = sell("other/cheap", "0.005", "low", category="illustration")
    cheap = AIModel.objects.get(endpoint_id="m/cheap")
    assert twin.endpoint_id not in [one["model"] for one in post(asker, PATH, {"instead_of": "m/cheap"})["items"]]

    link(cheap, twin, actor=SYSTEM, reason="The vendor says so.")

    first = post(asker, PATH, {"instead_of": "m/cheap"})["items"][0]
    assert (first["model"], first["price"], first["same_model_as"]) == ("other/cheap", "0.005", ["fal:m/cheap"])
    assert first["reason"].endswith("; the same model as fal:m/cheap")


@pytest.mark.once
def test_a_task_that_is_named_holds_for_equivalents_too(asker: HttpClient, four: None) -> None:
    twin = sell("other/cheap", "0.005", "low", category="illustration")
    sell("e/edit", "0.01", "low", category="image-to-image")
    link(AIModel.objects.get(endpoint_id="m/cheap"), twin, actor=SYSTEM, reason="The vendor says so.")

    found = post(asker, PATH, {"instead_of": "m/cheap", "task": "image-to-image"})

    assert [one["model"] for one in found["items"]] == ["e/edit"]


def test_equivalents_do_not_fill_a_ranking_as_if_they_were_different(asker: HttpClient, four: None) -> None:
    twin = sell("other/cheap", "0.005", "low")
    link(AIModel.objects.get(endpoint_id="m/cheap"), twin, actor=SYSTEM, reason="The vendor says so.")

    same = {one["model"]: one["same_model_as"] for one in post(asker, PATH, TASK)["items"]}

    assert same.pop("other/cheap") == ["fal:m/cheap"]
    assert not any(same.values())


@pytest.mark.once
def test_a_model_can_be_replaced_by_one_of_another_task(asker: HttpClient, four: None) -> None:
    make_sold("m/video", "0.001", "seconds", category="text-to-video", media_type="video", outputs=VIDEO_OUT)

    found = post(asker, PATH, {"instead_of": "m/cheap", "task": "text-to-video"})

    assert [item["model"] for item in found["items"]] == ["m/video"]


@pytest.mark.once
@pytest.mark.parametrize(("word", "most"), [("low", "0.01"), ("medium", "0.05"), ("high", "0.2")])
def test_a_budget_is_met_to_the_cent_and_not_beyond(asker: HttpClient, word: str, most: str) -> None:
    sell("m/just", most)
    sell("m/above", f"{most}001")

    assert chosen(asker, budget=word) == ["m/just"]


@pytest.mark.once
def test_of_equal_quality_the_cheaper_comes_first(asker: HttpClient) -> None:
    for name, price in (("m/dear", "0.09"), ("m/cheap", "0.01"), ("m/middle", "0.05")):
        sell(name, price, "high")

    assert chosen(asker, strategy="quality") == ["m/cheap", "m/middle", "m/dear"]


@pytest.mark.once
def test_a_media_type_is_enough(asker: HttpClient, four: None) -> None:
    assert len(post(asker, PATH, {"media_type": "image"})["items"]) == 4


@pytest.mark.once
def test_no_more_than_the_limit_are_returned_and_all_are_counted(asker: HttpClient, four: None) -> None:
    found = post(asker, PATH, TASK | {"limit": 2})

    assert (len(found["items"]), found["total"]) == (2, 4)


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "task"),
        ({"budget": "low"}, "task"),
        ({"task": "text-to-smell"}, "task"),
        (TASK | {"max_price": "-1"}, "max_price"),
        (TASK | {"max_price": "cheap"}, "max_price"),
        (TASK | {"max_price": "NaN"}, "max_price"),
        (TASK | {"max_price": "1e30"}, "max_price"),
        (TASK | {"max_price": "1e999999999"}, "max_price"),
        (TASK | {"max_price": True}, "max_price"),
        (TASK | {"max_price": [1]}, "max_price"),
        (TASK | {"max_latency": 0}, "max_latency"),
        (TASK | {"max_latency": -5}, "max_latency"),
        (TASK | {"min_duration": 0}, "min_duration"),
        (TASK | {"budget": "huge"}, "budget"),
        (TASK | {"quality": "best"}, "quality"),
        (TASK | {"urgency": "now"}, "urgency"),
        (TASK | {"strategy": "random"}, "strategy"),
        (TASK | {"min_resolution": "big"}, "min_resolution"),
        (TASK | {"min_resolution": 0}, "min_resolution"),
        (TASK | {"min_resolution": 1080.5}, "min_resolution"),
        (TASK | {"min_resolution": True}, "min_resolution"),
        (TASK | {"provider": "nobody"}, "provider"),
        (TASK | {"limit": 0}, "limit"),
        (TASK | {"limit": 51}, "limit"),
        (TASK | {"brand": "x"}, "brand"),
        (TASK | {"inputs": "image"}, "inputs"),
    ],
)
def test_a_requirement_that_makes_no_sense_is_refused_by_name(
    asker: HttpClient, four: None, body: dict[str, Any], path: str
) -> None:
    answer = post(asker, PATH, body, 400)

    assert answer["code"] == "invalid_request"
    assert [problem["path"] for problem in answer["details"]["problems"]] == [path]


@pytest.mark.once
def test_an_unknown_model_can_not_be_replaced(asker: HttpClient) -> None:
    assert post(asker, PATH, {"instead_of": "m/none"}, 404)["code"] == "model_not_found"


@pytest.mark.once
def test_the_name_of_an_endpoint_changes_nothing(asker: HttpClient) -> None:
    one = sell("m/one", "0.02")
    before = post(asker, PATH, TASK)["items"][0]
    AIModel.objects.filter(pk=one.pk).update(endpoint_id="famous/brand/pro-ultra")
    sell("m/other", "0.5")

    after = post(asker, PATH, TASK)["items"][0]

    assert after["model"] == "famous/brand/pro-ultra"
    assert after["quality"] == before["quality"]
