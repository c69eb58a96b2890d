"""Models that are added by hand: mapped and versioned as others, private where they are one client's, left by syncs."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.test import Client as HttpClient

from catalog import narrowing, own_models, own_schemas, published
from catalog.models import AIModel, CatalogState, SchemaVersion
from catalog.own_models import OwnModelError
from catalog.own_schemas import SchemaRefusedError
from genfeed.clients.keys import create_key, find_caller
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent, OutboxEvent
from pricing.estimates.facts import facts_of
from pricing.estimates.quotes import InputRefusedError, quote
from pricing.models import PricePoint, PriceRule
from pricing.prices.own_models import OwnPrice, preview, save
from tests.own_models.conftest import OUTPUT, SCHEMA, own
from tests.pricing.selling.priced import make_priced
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

PRICE = OwnPrice(unit="images", unit_price="0.02")
RULE = {"version": 1, "charges": [{"name": "images", "price": "0.09", "per": {"of": "outputs"}}]}


def caller(client: Client, *, scopes: tuple[str, ...] = ("models:read",)) -> Any:
    return find_caller(create_key(client, actor=SYSTEM, scopes=scopes)[1])


def seen(client: Client, **options: Any) -> list[str]:
    return [entry.id for entry in narrowing.seen_by(caller(client, **options)).entries]


def test_a_model_by_hand_is_mapped_priced_and_offered() -> None:
    row = save(own(), PRICE, actor=SYSTEM)

    assert (row.media_type, row.kind, row.enabled, row.origin) == ("image", "inference", True, "manual")
    assert facts_of(row.pk).inputs[2]["enum"] == ["oil", "ink"]
    assert quote(facts_of(row.pk), {"prompt": "x", "num_images": 2}).cost == 40_000_000
    assert AuditEvent.objects.filter(action="model.added_by_hand", object_id=str(row.pk)).count() == 1


@pytest.mark.once
def test_a_model_by_hand_without_a_price_is_held_and_says_why() -> None:
    row = save(own(), None, actor=SYSTEM)

    assert (row.enabled, row.held_reason) == (False, "unpriced")


def test_a_preview_shows_what_saving_makes_and_leaves_nothing() -> None:
    revision = CatalogState.objects.values_list("revision", flat=True).first()

    shown = preview(own(), PRICE, actor=SYSTEM)

    assert ([item["name"] for item in shown.inputs], shown.held) == (["prompt", "num_images", "style"], "")
    assert shown.estimate is not None
    assert shown.estimate.cost == 20_000_000
    assert not AIModel.objects.exists()
    assert not AuditEvent.objects.exists()
    assert not OutboxEvent.objects.exists()
    assert CatalogState.objects.values_list("revision", flat=True).first() == revision


@pytest.mark.once
def test_a_rule_that_speaks_of_a_field_that_is_not_there_saves_nothing() -> None:
    rule = {"version": 1, "charges": [{"name": "x", "price": "1", "per": {"of": "field", "field": "seconds"}}]}

    with pytest.raises(OwnModelError, match="no field 'seconds'") as refused:
        save(own(), OwnPrice(rule=rule), actor=SYSTEM)

    assert refused.value.field == "rule"
    assert not AIModel.objects.exists()


@pytest.mark.once
def test_a_changed_schema_makes_a_new_version_with_what_changed() -> None:
    row = save(own(), PRICE, actor=SYSTEM)
    without = {**SCHEMA, "properties": {name: SCHEMA["properties"][name] for name in ("prompt", "num_images")}}

    save(own(document=own_schemas.document_of("acme/portraits", without, OUTPUT)), None, row=row, actor=SYSTEM)

    row.refresh_from_db()
    newest = SchemaVersion.objects.get(model=row, number=2)
    assert (row.schema_version, newest.change_class) == (2, "breaking")
    assert OutboxEvent.objects.filter(kind="model.schema_breaking").count() == 1
    assert PricePoint.objects.get(model=row, standing="current").unit_price == "0.02"


@pytest.mark.once
def test_a_new_title_alone_makes_no_new_version() -> None:
    row = save(own(), PRICE, actor=SYSTEM)

    save(own(name="Faces"), None, row=row, actor=SYSTEM)

    row.refresh_from_db()
    assert (row.name, row.schema_version) == ("Faces", 1)


def test_a_sync_neither_changes_nor_retires_it(small_fal: RunningSandbox, sync: Callable[..., Any]) -> None:
    listed = own(endpoint_id="fal-ai/flux/dev", name="Ours")
    save(listed, PRICE, actor=SYSTEM)
    save(own(), PRICE, actor=SYSTEM)

    sync()
    sync()

    kept = AIModel.objects.filter(origin="manual").order_by("endpoint_id")
    assert [(row.name, row.status, row.schema_version) for row in kept] == [
        ("Portraits", "active", 1),
        ("Ours", "active", 1),
    ]


@pytest.mark.once
def test_a_retired_one_is_not_offered_and_can_be_brought_back() -> None:
    row = save(own(), PRICE, actor=SYSTEM)

    row = own_models.retire(row, actor=SYSTEM)
    assert (row.enabled, row.held_reason) == (False, "retired")
    row = own_models.bring_back(row, actor=SYSTEM)
    assert (row.enabled, row.retired_at) == (True, None)


def test_one_without_jobs_is_removed() -> None:
    own_models.remove(save(own(), PRICE, actor=SYSTEM), actor=SYSTEM)

    assert not AIModel.objects.exists()


@pytest.mark.once
def test_a_model_of_the_provider_is_not_changed_by_hand() -> None:
    row = make_priced()

    with pytest.raises(OwnModelError, match="not added by hand"):
        own_models.retire(row, actor=SYSTEM)


@pytest.mark.once
def test_an_id_that_is_there_is_refused() -> None:
    make_priced("acme/portraits")

    with pytest.raises(OwnModelError, match="already"):
        save(own(), PRICE, actor=SYSTEM)


@pytest.mark.once
@pytest.mark.parametrize(
    "endpoint_id", ["", "/acme", "acme//x", "acme/ x", "fal:acme", "é", "..", "acme/../x", "acme/."]
)
def test_an_id_that_is_none_is_refused(endpoint_id: str) -> None:
    with pytest.raises(OwnModelError):
        save(own(endpoint_id=endpoint_id), PRICE, actor=SYSTEM)


# --- schemas ---


@pytest.mark.once
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "JSON object"),
        ('{"a": 1}', "neither an OpenAPI document"),
        ('{"properties": {"a": {"title": "\\u0000"}}}', "null characters"),
        ('{"properties": {"\\u0000": {}}}', "null characters"),
        ('{"properties": {"a": ' + '{"items": ' * 300 + "{}" + "}" * 302, "nested more than"),
        ('{"properties": {"a": ' + "[" * 900 + "]" * 900 + "}}", "nested more than"),
        ('"' + "x" * own_schemas.MOST_BYTES + '"', "larger than"),
    ],
)
def test_a_schema_that_is_none_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(SchemaRefusedError, match=words):
        own_schemas.read_document(text, "acme/portraits")


def test_what_only_looks_like_a_null_character_and_deep_nesting_that_can_be_written_are_taken() -> None:
    deep: Any = {"type": "string"}
    for _ in range(90):
        deep = {"items": deep}
    given = {"properties": {"a": {"pattern": r"[^\u0000]"}, "b": deep}}

    document = own_schemas.read_document(orjson.dumps(given), "acme/portraits")

    assert document["x-schemas"]["input"] == given
    assert orjson.dumps(document)


@pytest.mark.once
def test_an_openapi_document_without_a_request_body_is_refused_in_words() -> None:
    with pytest.raises(OwnModelError, match="no JSON request body") as refused:
        save(own(document={"paths": {"/acme/portraits": {"post": {}}}}), PRICE, actor=SYSTEM)

    assert refused.value.field == "schema"


@pytest.mark.once
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/schema.json", "http://10.0.0.1/x", "file:///etc/passwd"])
def test_a_schema_is_fetched_from_public_addresses_alone(url: str, settings: Any) -> None:
    settings.SSRF_ALLOW = []

    with pytest.raises(SchemaRefusedError, match="could not be fetched"):
        own_schemas.fetch(url)


# --- another model with fixed inputs ---


@pytest.mark.once
def test_what_is_fixed_is_sent_priced_and_hidden() -> None:
    base = make_priced("fal-ai/base", "0.02")
    wanted = own(base=base, document=None, fixed_input={"num_images": 3})

    row = save(wanted, OwnPrice(as_base=True), actor=SYSTEM)

    facts = facts_of(row.pk)
    assert (row.runs_as, facts.fixed_input) == ("fal-ai/base", {"num_images": 3})
    assert quote(facts, {"prompt": "x"}).cost == 60_000_000
    with pytest.raises(InputRefusedError):
        quote(facts, {"prompt": "x", "num_images": 1})


@pytest.mark.once
def test_the_base_s_price_rule_comes_along() -> None:
    base = make_priced("fal-ai/base", "0.02", rule=RULE)

    row = save(own(base=base, document=None), OwnPrice(as_base=True), actor=SYSTEM)

    assert PriceRule.objects.get(model=row, state="active").body == RULE


@pytest.mark.once
@pytest.mark.parametrize(
    ("fixed", "words"), [({"num_images": 9}, "num_images"), ({"loras": []}, "there is no field loras")]
)
def test_what_the_base_does_not_take_is_not_fixed(fixed: dict[str, Any], words: str) -> None:
    with pytest.raises(OwnModelError, match=words) as refused:
        save(own(base=make_priced("fal-ai/base"), document=None, fixed_input=fixed), None, actor=SYSTEM)

    assert refused.value.field == "fixed_input"


@pytest.mark.once
def test_the_api_shows_clients_nothing_of_what_is_fixed(api: HttpClient) -> None:
    save(own(base=make_priced("fal-ai/base"), document=None, fixed_input={"num_images": 3}), PRICE, actor=SYSTEM)
    published.forget()

    answer = api.get("/api/v1/models/acme/portraits")

    assert answer.status_code == 200
    assert b"num_images" not in answer.content
    assert [item["name"] for item in answer.json()["inputs"]] == ["prompt"]


# --- one client's alone ---


def test_a_client_s_own_model_is_there_for_that_client_alone() -> None:
    make_priced()
    acme, other = Client.objects.create(name="Acme"), Client.objects.create(name="Other")
    save(own(client=acme), PRICE, actor=SYSTEM)
    published.forget()

    assert seen(acme) == ["acme/portraits", "fal-ai/flux/dev"]
    assert seen(other) == ["fal-ai/flux/dev"]
    assert seen(other, scopes=("admin",)) == ["acme/portraits", "fal-ai/flux/dev"]


@pytest.mark.once
def test_lists_of_models_bind_beside_ownership() -> None:
    make_priced()
    acme = Client.objects.create(name="Acme", denied_models=["fal-ai/*"])
    other = Client.objects.create(name="Other", allowed_models=["acme/*"])
    save(own(client=acme), PRICE, actor=SYSTEM)
    published.forget()

    assert (seen(acme), seen(other)) == (["acme/portraits"], [])


def test_events_of_a_client_s_own_model_are_that_client_s() -> None:
    acme = Client.objects.create(name="Acme")

    save(own(client=acme), PRICE, actor=SYSTEM)

    told = OutboxEvent.objects.filter(kind__startswith="model.")
    assert {event.client_id for event in told} == {acme.pk}


def test_erasing_a_client_leaves_nothing_of_what_was_fixed() -> None:
    acme = Client.objects.create(name="Acme")
    fixed = {"num_images": 3}
    row = save(own(client=acme, base=make_priced("fal-ai/base"), document=None, fixed_input=fixed), PRICE, actor=SYSTEM)

    assert own_models.erase_models_of(acme, actor=SYSTEM) == 1

    row.refresh_from_db()
    assert (row.status, row.enabled, row.fixed_input) == ("retired", False, {})
    assert not SchemaVersion.objects.filter(model=row).exists()


# --- the command ---


@pytest.mark.once
def test_the_command_adds_a_model_from_a_file(tmp_path: Any) -> None:
    file = tmp_path / "schema.json"
    file.write_bytes(orjson.dumps({"input": SCHEMA, "output": OUTPUT}))
    said = StringIO()

    call_command(
        "add_model", "fal", "acme/portraits", name="Portraits", category="text-to-image", schema=str(file),
        unit="images", unit_price="0.02", stdout=said,
    )  # fmt: skip

    assert AIModel.objects.get().enabled
    assert "inputs: prompt, num_images, style" in said.getvalue()
    assert "an example costs 0.02 and sells for 0.066666667 USD" in said.getvalue()


@pytest.mark.once
def test_a_dry_run_of_the_command_changes_nothing(tmp_path: Any) -> None:
    file = tmp_path / "schema.json"
    file.write_bytes(orjson.dumps(SCHEMA))

    call_command(
        "add_model", "fal", "acme/portraits", "--dry-run", name="Portraits", category="text-to-image",
        schema=str(file), stdout=StringIO(),
    )  # fmt: skip

    assert not AIModel.objects.exists()


@pytest.mark.once
def test_the_command_refuses_a_client_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="no client 'Acme'"):
        call_command("add_model", "fal", "acme/x", name="X", category="y", client="Acme", schema="", stdout=StringIO())


@pytest.mark.once
def test_a_price_sync_leaves_its_price_and_asks_nobody_for_one_that_is_built_on_another(
    small_fal: RunningSandbox,
) -> None:
    call_command("sync_models", stdout=StringIO())
    base = AIModel.objects.get(endpoint_id="fal-ai/flux/dev")
    save(own(provider=base.provider), PRICE, actor=SYSTEM)
    built = own(provider=base.provider, endpoint_id="acme/built", base=base, document=None)
    save(built, OwnPrice(unit="images", unit_price="0.5"), actor=SYSTEM)
    small_fal.clear_requests()

    call_command("sync_models", stdout=StringIO())

    current = PricePoint.objects.filter(model__origin="manual", standing="current").order_by("model__endpoint_id")
    assert [point.unit_price for point in current] == ["0.5", "0.02"]
    assert not any("acme/built" in str(call) for call in small_fal.requests())
