"""Replicate: found, priced and sold, at the sandbox that behaves as its documents and recordings say."""

from decimal import Decimal
from typing import Any, cast

import pytest

from catalog import tasks
from catalog.models import AIModel, SchemaVersion
from catalog.providers import base, replicate_prices
from pricing.estimates.facts import facts_of
from pricing.estimates.quotes import quote_checked
from tests.providers.conftest import FLUX, KEY, KLING, SDXL, Replica, sync

pytestmark = pytest.mark.once


def model(endpoint_id: str) -> AIModel:
    return AIModel.objects.get(provider__slug="replicate", endpoint_id=endpoint_id)


def quoted(endpoint_id: str, **given: Any) -> Any:
    return quote_checked(facts_of(model(endpoint_id).pk), given, media={}, client_id=None)


# --- The catalog -----------------------------------------------------------------------------------------------------


def test_without_a_token_it_is_left_alone(db: None, settings: Any) -> None:
    settings.REPLICATE_API_TOKEN = ""

    assert "replicate" not in tasks.sync_all()


def test_every_model_of_all_pages_is_found_once(db: None, known: Replica) -> None:
    assert AIModel.objects.filter(provider__slug="replicate").count() == 25


def test_a_next_page_of_another_host_is_never_asked(db: None, replica: Replica, settings: Any) -> None:
    provider = base.open_provider("replicate")
    provider._url = "https://api.replicate.com/v1"

    provider._reader.get = lambda path, params: {"results": [], "next": "https://elsewhere.example/v1/models?cursor=x"}  # type: ignore[attr-defined]

    with pytest.raises(base.ProviderBadAnswerError, match="not its own"):
        list(provider._pages("/models"))  # type: ignore[attr-defined]


def test_inputs_are_in_the_order_of_x_order_with_their_choices_and_files(db: None, known: Replica) -> None:
    inputs = SchemaVersion.objects.get(model=model(SDXL)).unpacked["inputs"]
    by_name = {one["name"]: one for one in inputs}

    assert [one["name"] for one in inputs][:5] == ["prompt", "negative_prompt", "image", "mask", "width"]
    assert by_name["scheduler"]["enum"] == ["K_EULER", "DDIM"]
    assert by_name["scheduler"]["default"] == "K_EULER"
    assert by_name["image"]["media"] == "image"


@pytest.mark.parametrize(
    ("endpoint_id", "category", "media_type", "said"),
    [
        (FLUX, "text-to-image", "image", "collection text-to-image"),
        ("openai/whisper", "speech-to-text", "text", "collection speech-to-text"),
        ("example-labs/animate", "image-to-video", "video", "its example"),
        ("example-labs/chat-small", "llm", "text", "its output schema"),
        ("example-labs/mesh", "text-to-3d", "3d", "its example"),
    ],
)
def test_what_a_model_makes_is_inferred_and_marked_so(
    db: None, known: Replica, endpoint_id: str, category: str, media_type: str, said: str
) -> None:
    found = model(endpoint_id)

    assert (found.category, found.media_type) == (category, media_type)
    assert found.metadata["inferred"] == {"category": category, "from": said}


def test_a_text_that_is_streamed_in_pieces_is_one_text(db: None, known: Replica) -> None:
    (output,) = SchemaVersion.objects.get(model=model("example-labs/chat-small")).unpacked["outputs"]

    assert (output["name"], output["type"]) == ("output", "string")


def test_an_output_without_a_type_is_taken_as_it_comes(db: None, known: Replica) -> None:
    (output,) = SchemaVersion.objects.get(model=model("example-labs/unsaid")).unpacked["outputs"]

    assert (output["name"], output["type"]) == ("output", "any")


def test_official_models_have_no_version_and_all_others_theirs(db: None, known: Replica) -> None:
    assert model(FLUX).upstream_version == ""
    assert len(model(SDXL).upstream_version) == 64


def test_a_model_without_a_version_is_not_offered(db: None, replica: Replica) -> None:
    provider = base.open_provider("replicate")
    (fetched,) = provider.fetch_schemas(["example-labs/empty"])
    provider.close()

    assert (fetched.document, fetched.problem) == (None, "it has no version whose input is told")


def nested(depth: int) -> Any:
    found: Any = {}
    for _ in range(depth):
        found = {"properties": {"deeper": found}}
    return found


@pytest.mark.parametrize(
    ("schema", "is_read"),
    [
        ({"components": None}, True),
        ({"components": {"schemas": []}}, True),
        ({"components": {"schemas": {"Input": {"required": 1, "properties": {"prompt": 5}}, "Output": {}}}}, True),
        (
            {"components": {"schemas": {"Input": {"properties": {"a": {"description": 5}}}, "Output": nested(400)}}},
            False,
        ),
        ({"components": {"schemas": {"Input": {"properties": {"a": {"format": "uri", "examples": 1}}}}}}, False),
    ],
    ids=["no components", "no schemas", "odd input", "nested too deeply", "examples that are none"],
)
def test_an_odd_model_does_not_keep_the_others_from_being_read(replica: Replica, schema: Any, is_read: bool) -> None:
    provider = cast("Any", base.open_provider("replicate"))
    rows = [{"owner": "someone", "name": "odd", "latest_version": {"id": "1", "openapi_schema": schema}}]
    page = provider._read(1, [*rows, {"owner": "someone", "name": "plain"}])
    provider.close()

    assert [one.endpoint_id for one in page.models][-1] == "someone/plain"
    assert (len(page.models), len(page.problems)) == ((2, 0) if is_read else (1, 1))


def test_a_model_that_is_there_by_another_name_is_not_found_by_the_old_one(replica: Replica) -> None:
    provider = cast("Any", base.open_provider("replicate"))
    provider._reader.get = lambda path, params: {"owner": "new", "name": "name"}

    assert provider.fetch_schemas(["old/name"]) == []
    provider.close()


def test_search_and_single_models_are_asked_of_replicate_itself(db: None, replica: Replica) -> None:
    provider = base.open_provider("replicate")
    (page,) = provider.list_models(query="upscale")
    one, none = provider.get_model("openai/whisper"), provider.get_model("nobody/nothing")
    provider.close()

    assert [found.endpoint_id for found in page.models] == ["example-labs/upscale"]
    assert one is not None
    assert one.category == "audio-to-json"
    assert none is None


@pytest.mark.parametrize(("key", "state"), [("", "missing"), ("r8_wrong", "invalid"), (KEY, "valid")])
def test_the_token_is_checked(replica: Replica, settings: Any, key: str, state: str) -> None:
    settings.REPLICATE_API_TOKEN = key
    provider = base.open_provider("replicate")

    assert provider.check_key().state == state
    provider.close()


# --- Prices ----------------------------------------------------------------------------------------------------------


def test_a_price_per_output_is_derived(db: None, known: Replica) -> None:
    quote = quoted("black-forest-labs/flux-schnell", prompt="a fox", num_outputs=4)

    assert (quote.cost, quote.confidence, quote.unit) == (12_000_000, "exact", "images")


def test_tiers_of_the_table_become_a_rule(db: None, known: Replica) -> None:
    silent = quoted(KLING, prompt="a fox", duration=5, resolution="1080p", generate_audio=False)
    loud = quoted(KLING, prompt="a fox", duration=5, resolution="720p", generate_audio=True)

    assert (silent.cost, loud.cost) == (1_120_000_000, 1_260_000_000)


def test_tiers_of_a_page_become_a_rule(db: None, known: Replica) -> None:
    quote = quoted("example-films/fast-clips", image="https://files.example/a.png", duration=10, resolution="720p")

    assert (quote.cost, quote.confidence) == (400_000_000, "exact")


def test_a_model_on_a_known_machine_is_bounded_by_its_deadline(db: None, known: Replica) -> None:
    quote = quoted(SDXL, prompt="a fox")

    assert (quote.confidence, quote.unit) == ("bounded", "compute seconds")
    assert Decimal(quote.unit_price) == Decimal("0.000975")
    assert model(SDXL).enabled


def test_what_goes_in_and_comes_out_at_one_price_is_one_unit(db: None, known: Replica) -> None:
    assert facts_of(model("black-forest-labs/flux-2-flex").pk).unit == "processed megapixels"


@pytest.mark.parametrize(
    "endpoint_id",
    ["example-labs/odd-machine", "example-labs/no-price", "example-words/chat-large", "black-forest-labs/flux-2-pro"],
)
def test_what_no_request_tells_has_no_price(db: None, known: Replica, endpoint_id: str) -> None:
    found = model(endpoint_id)

    assert (found.price["state"], found.priced) == ("unknown", False)


def test_the_share_of_official_and_of_machine_models_that_can_be_sold(db: None, known: Replica) -> None:
    rows = AIModel.objects.filter(provider__slug="replicate")
    sold = {row.endpoint_id for row in rows if row.priced}
    official = {row.endpoint_id for row in rows if "official" in row.tags}

    # Tokens of language models, and a fixed price beside one for megapixels, are in no unit that a request tells.
    assert official - sold == {"example-words/chat-large", "black-forest-labs/flux-2-pro"}
    assert {row.endpoint_id for row in rows} - official - sold == {"example-labs/odd-machine", "example-labs/no-price"}


def test_hidden_pages_leave_the_table_and_what_was_known(db: None, known: Replica) -> None:
    known.switch(hide_pages=True)

    run = sync()

    assert run.report["prices"]["error"] == ""
    assert quoted(SDXL, prompt="a fox").confidence == "bounded"
    assert quoted(FLUX, prompt="a fox").cost == 40_000_000


def test_hidden_pages_are_asked_for_twice_and_no_more(db: None, replica: Replica) -> None:
    replica.switch(hide_pages=True)
    before = len(_page_calls(replica))

    sync()

    assert len(_page_calls(replica)) - before == 2
    assert model(FLUX).priced
    assert not model(SDXL).priced


def test_a_few_pages_in_each_sync_come_to_all_models_official_ones_first(
    db: None, replica: Replica, settings: Any
) -> None:
    settings.REPLICATE_PAGES = 4
    read: list[set[str]] = []
    for _ in range(5):
        before = len(_page_calls(replica))
        sync()
        read.append({one["path"].removeprefix("/replicate/web/") for one in _page_calls(replica)[before:]})
    without_table = {
        row.endpoint_id: "official" in row.tags
        for row in AIModel.objects.filter(provider__slug="replicate")
        if row.endpoint_id not in replicate_prices.table().models
    }

    officials = [one for one in without_table if without_table[one]]
    assert read[0] <= set(without_table)
    assert len(read[0] & set(officials)) == min(4, len(officials))
    assert set().union(*read) == set(without_table)


def test_pages_that_stay_hidden_let_others_have_their_turn(db: None, replica: Replica) -> None:
    replica.switch(hide_pages=True)
    sync()
    first = {one["path"] for one in _page_calls(replica)[-2:]}
    sync()

    assert not first & {one["path"] for one in _page_calls(replica)[-2:]}


def _page_calls(replica: Replica) -> list[Any]:
    calls = replica.sandbox.client.get("/_sandbox/requests").json()
    return [one for one in calls["requests"] if one["path"].startswith("/replicate/web/")]


def test_the_operators_own_file_goes_before(db: None, replica: Replica, settings: Any, tmp_path: Any) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('[models]\n"example-labs/no-price" = {hardware = "gpu-h100"}\n')
    settings.REPLICATE_PRICES = str(own)

    sync()

    assert Decimal(quoted("example-labs/no-price", prompt="x").unit_price) == Decimal("0.001525")


def test_a_file_that_can_t_be_read_is_told_and_changes_nothing(
    db: None, known: Replica, settings: Any, tmp_path: Any
) -> None:
    settings.REPLICATE_PRICES = str(tmp_path / "missing.toml")

    run = sync()

    assert "REPLICATE_PRICES" in run.report["prices"]["error"]
    assert model(FLUX).priced
    replica_table = replicate_prices._table("", 0.0)
    assert replica_table.hardware["gpu-t4"] == Decimal("0.000225")
