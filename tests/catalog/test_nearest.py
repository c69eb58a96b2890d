"""Looking for what an unknown id was meant to be costs something; it is done only where it is shown."""

from typing import Any

import pytest

from catalog import guessing, published
from tests.factories import make_models, publish_now

pytestmark = pytest.mark.once


def test_thousands_of_unknown_ids_in_one_request_are_not_guessed_at(admin_api: Any, monkeypatch: Any) -> None:
    make_models(10)
    publish_now()
    guesses: list[str] = []
    monkeypatch.setattr(guessing, "get_close_matches", lambda word, *_, **__: guesses.append(word) or [])
    body = {"ids": [f"fal-ai/unknown/{number}" for number in range(5000)], "enabled": False}

    answer = admin_api.post("/api/v1/admin/models/bulk-toggle", body, content_type="application/json")

    assert (answer.status_code, len(answer.json()["details"]["unknown"])) == (404, 100)
    assert guesses == []


def test_one_unknown_id_is_guessed_at_once(db: None, monkeypatch: Any) -> None:
    make_models(10)
    publish_now()
    guesses, near = [], "fal-ai/made/0002"
    monkeypatch.setattr(guessing, "get_close_matches", lambda word, *_, **__: guesses.append(word) or [near])
    with pytest.raises(published.ModelNotFoundError) as caught:
        published.find("fal:made/0001")
    assert (caught.value.nearest, caught.value.nearest, guesses) == ([near], [near], ["made/0001"])


def test_an_id_in_large_letters_has_near_ones(db: None) -> None:
    make_models(1)
    publish_now()

    with pytest.raises(published.ModelNotFoundError) as caught:
        published.find("FAL-AI/Made/0000")
    assert caught.value.nearest == ["fal-ai/made/0000"]


def test_no_more_than_some_ids_are_guessed_at_in_a_second(admin_api: Any, monkeypatch: Any) -> None:
    make_models(10)
    publish_now()
    guesses: list[str] = []
    monkeypatch.setattr(
        guessing, "get_close_matches", lambda word, *_, **__: guesses.append(word) or ["fal-ai/made/0002"]
    )
    monkeypatch.setattr(guessing, "PER_SECOND", 0.001)
    monkeypatch.setattr(guessing, "AT_ONCE", 3)
    body = {"items": [{"model": f"fal-ai/unknown/{number}"} for number in range(100)]}

    answer = admin_api.post("/api/v1/estimates", body, content_type="application/json")

    told = [item["error"] for item in answer.json()["items"]]
    assert {one["code"] for one in told} == {"model_not_found"}
    assert [one["details"]["nearest"] for one in told[2:4]] == [["fal-ai/made/0002"], []]
    assert len(guesses) == 3


def test_an_id_without_end_is_guessed_at_by_its_beginning(db: None) -> None:
    assert guessing.nearest_ids("fal-ai/made/0000" + "x" * 10_000, ["fal-ai/made/0000" + "x" * 284]) != []
