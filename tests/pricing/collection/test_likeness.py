"""Which rows are taken for one model: suggested with score and reason, never guessed silently."""

import pytest

from pricing.existing.likeness import Candidate, Likeness, find_likenesses


def row(pk: int, endpoint_id: str, name: str = "", category: str = "text-to-image", **more) -> Candidate:
    values = {"provider": "fal", "media_type": "image", "is_existing": False}
    return Candidate(pk=pk, endpoint_id=endpoint_id, name=name, category=category, **(values | more))


def existing(pk: int, endpoint_id: str, name: str = "", category: str = "", **more) -> Candidate:
    return row(pk, endpoint_id, name, category, media_type="other", is_existing=True, **more)


def pairs(*rows: Candidate) -> list[tuple[str, str]]:
    return [(pair.left.endpoint_id, pair.right.endpoint_id) for pair in find_likenesses(rows)]


def only(*rows: Candidate) -> Likeness:
    found = find_likenesses(rows)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("stale", "real"),
    [
        ("fal-ai/flux-dev", "fal-ai/flux/dev"),
        ("fal-ai/veo-3", "fal-ai/veo3"),
        ("black-forest-labs/flux-schnell", "fal-ai/flux/schnell"),
        ("imagen4", "fal-ai/imagen4"),
        ("ideogram_v3", "fal-ai/ideogram/v3"),
        ("FAL-AI/Flux/Dev", "fal-ai/flux/dev"),
    ],
)
def test_an_id_of_the_same_words_is_suggested(stale: str, real: str) -> None:
    found = only(row(1, real), existing(2, stale))
    assert found.score >= 80
    assert "ids of the same words" in found.reason


def test_what_only_numbers_the_first_version_tells_nothing_apart() -> None:
    found = only(row(1, "fal-ai/flux/dev", "FLUX.1 [dev]"), row(2, "fal-ai/flux-1/dev", "FLUX.1 [dev]"))
    assert 60 <= found.score < 90
    assert "differ only in 1" in found.reason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fal-ai/kling-video/v1/pro/text-to-video", "fal-ai/kling-video/v1/standard/text-to-video"),
        ("fal-ai/veo3", "fal-ai/veo3/fast"),
        ("fal-ai/veo2", "fal-ai/veo3"),
        ("fal-ai/flux/dev", "fal-ai/flux/schnell"),
        ("bria/fibo/generate/lite", "bria/fibo/generate/lite/lite"),
        ("fal-ai/infinitalk", "fal-ai/infinitalk/video-to-video"),
    ],
)
def test_endpoints_that_a_provider_lists_apart_are_not_taken_for_one(one: str, other: str) -> None:
    names = {"name": "The same name", "category": "text-to-video", "media_type": "video"}
    assert pairs(row(1, one, **names), row(2, other, **names)) == []


def test_rows_that_make_different_things_are_not_the_same() -> None:
    assert (
        pairs(
            row(1, "fal-ai/lynx", media_type="video", category="image-to-video"), existing(2, "lynx", category="image")
        )
        == []
    )


def test_an_equal_name_is_enough_for_a_suggestion_where_the_id_says_nothing() -> None:
    found = only(row(1, "fal-ai/flux/dev", "FLUX.1 [dev]"), existing(2, "4711", "Flux 1 dev"))
    assert found.score < 70
    assert "the same name" in found.reason


def test_variants_of_a_good_counterpart_are_not_suggested_too() -> None:
    real = [row(1, "fal-ai/flux/dev", "Flux"), row(2, "fal-ai/flux/dev/image-to-image", "Flux", "image-to-image")]
    assert pairs(*real, existing(3, "fal-ai/flux-dev")) == [("fal-ai/flux/dev", "fal-ai/flux-dev")]


def test_no_score_claims_to_be_certain() -> None:
    found = only(row(1, "a/same", "Same"), row(2, "a/same", "Same", provider="other"))
    assert found.score < 100


def test_ids_without_any_word_are_compared_with_nothing() -> None:
    assert pairs(existing(1, "///", "!!!"), existing(2, "---", "???"), row(3, "", "")) == []
