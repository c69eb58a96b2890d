"""Looking for what an unknown id was meant to be costs something; it is done only where it is shown."""

from typing import Any

import pytest

from catalog import published
from tests.factories import make_models, publish_now


def test_thousands_of_unknown_ids_in_one_request_are_not_guessed_at(admin_api: Any, monkeypatch: Any) -> None:
    make_models(10)
    publish_now()
    guesses: list[str] = []
    monkeypatch.setattr(published, "get_close_matches", lambda word, *_, **__: guesses.append(word) or [])
    body = {"ids": [f"fal-ai/unknown/{number}" for number in range(5000)], "enabled": False}

    answer = admin_api.post("/api/v1/admin/models/bulk-toggle", body, content_type="application/json")

    assert (answer.status_code, len(answer.json()["details"]["unknown"])) == (404, 100)
    assert guesses == []


def test_one_unknown_id_is_guessed_at_once(db: None, monkeypatch: Any) -> None:
    make_models(10)
    publish_now()
    guesses, near = [], "fal-ai/made/0002"
    monkeypatch.setattr(published, "get_close_matches", lambda word, *_, **__: guesses.append(word) or [near])
    with pytest.raises(published.ModelNotFoundError) as caught:
        published.find("fal:made/0001")
    assert (caught.value.nearest, caught.value.nearest, guesses) == ([near], [near], ["made/0001"])


def test_an_id_in_large_letters_has_near_ones(db: None) -> None:
    make_models(1)
    publish_now()

    with pytest.raises(published.ModelNotFoundError) as caught:
        published.find("FAL-AI/Made/0000")
    assert caught.value.nearest == ["fal-ai/made/0000"]
