"""A second provider behind the same interface: registered by name, nothing else to change."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from catalog import discovery, published, sync_runs
from catalog.models import AIModel
from catalog.providers import base, queue
from catalog.providers.base import FetchedSchema, KeyCheck, ListedModel, ListingPage
from tests.factories import make_model

pytestmark = pytest.mark.once

DOCUMENT = {
    "openapi": "3.0.4",
    "paths": {
        "/acme/paint": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["prompt"],
                                "properties": {"prompt": {"type": "string"}, "mask_url": {"type": "string"}},
                            }
                        }
                    }
                }
            }
        },
        "/acme/paint/requests/{request_id}": {
            "get": {
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {"image": {"type": "string", "description": "URL of the image"}},
                                }
                            }
                        }
                    }
                }
            }
        },
    },
}


class Acme:
    """A provider in memory that needs a key for everything and knows no categories."""

    slug = "acme"
    name = "Acme"
    source = "memory"
    needs_key_for_catalog = True

    def __init__(self, key: str) -> None:
        self.key = key

    def is_configured(self) -> bool:
        return bool(self.key)

    def list_models(self, **_: Any) -> Iterator[ListingPage]:
        model = ListedModel("acme/paint", "Paint", "", "", "active", None, [], "", "2026-01-01", {})
        yield ListingPage(1, [model], [])

    def get_model(self, endpoint_id: str) -> ListedModel | None:
        return None

    def fetch_schemas(self, endpoint_ids: Sequence[str]) -> list[FetchedSchema]:
        return [FetchedSchema(endpoint_id, DOCUMENT) for endpoint_id in endpoint_ids]

    def check_key(self) -> KeyCheck:
        return KeyCheck("valid", "")

    def close(self) -> None:
        pass


@pytest.fixture
def register(monkeypatch):
    """Registers Acme with the given key for this test only."""

    def add(key: str) -> None:
        monkeypatch.setattr(base, "_registry", dict(base._registry))
        base.register("acme", "Acme", lambda: Acme(key))

    return add


def run():
    provider = sync_runs.ensure_providers()["acme"]
    row, _ = sync_runs.request_run(provider, trigger="command")
    return discovery.run_sync(row)


def test_a_registered_provider_is_synced_like_any_other(db, register):
    register("a key")
    assert run().status == "succeeded"
    model = AIModel.objects.get(provider__slug="acme")
    assert (model.endpoint_id, model.enabled) == ("acme/paint", True)


def test_without_a_category_the_schema_says_what_a_model_makes_and_takes(db, register):
    register("a key")
    run()
    model = AIModel.objects.get(provider__slug="acme")
    assert (model.media_type, model.media_type_source) == ("image", "schema")
    assert "mask_input" in model.capabilities


def test_a_provider_that_needs_a_key_says_so_instead_of_crashing(db, register):
    register("")
    done = run()
    assert (done.status, done.error) == ("failed", "Acme lists its models only with a key, and none is set.")


def test_a_sync_of_one_provider_looks_at_no_other(db, register):
    register("a key")
    other = make_model("fal-ai/flux/dev")
    run(), run()
    other.refresh_from_db()
    assert (other.status, other.missed_listings, other.enabled) == ("active", 0, True)


def test_the_same_id_at_two_providers_is_two_models_and_must_be_named_in_full(db, register, sync, fal):
    register("a key")
    run()
    row = AIModel.objects.get(provider__slug="acme")
    fal_row = sync_runs.ensure_providers()["fal"]
    AIModel.objects.create(provider=fal_row, endpoint_id=row.endpoint_id, name="Other", enabled=True)
    with pytest.raises(published.ModelAmbiguousError) as trouble:
        published.find("acme/paint")
    assert trouble.value.candidates == ["acme:acme/paint", "fal:acme/paint"]
    assert published.find("acme:acme/paint").provider == "acme"


@pytest.mark.parametrize(("slug", "written"), [("fal", "Key the-id:the-secret"), ("replicate", "Bearer the-token")])
def test_both_ways_of_writing_the_key_are_each_providers_own(settings, slug, written):
    settings.FAL_KEY, settings.REPLICATE_API_TOKEN = "the-id:the-secret", "the-token"
    provider, running = base.open_provider(slug), queue.open_queue(slug)
    with running._connections.one() as http:
        headers = [provider._reader._http.headers["Authorization"], http.headers["Authorization"]]
    provider.close()
    running.close()
    assert headers == [written, written]
