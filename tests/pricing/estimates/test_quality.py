"""Tiers of quality: an admin's word stands, everything else is derived from evidence that is named."""

from typing import Any

import pytest

from pricing.choosing.quality import Quality, largest_lines, quality_of

STEPS = {"name": "num_inference_steps", "type": "integer", "required": False}


def derive(name: str = "Model", stated: str = "", **evidence: Any) -> Quality:
    given = {"media_type": "image", "limits": {}, "inputs": [], "price_rank": None} | evidence
    return quality_of(stated, name=name, **given)


@pytest.mark.parametrize("tier", ["low", "medium", "high", "ultra"])
def test_what_an_admin_says_stands(tier: str) -> None:
    assert derive("Ultra Pro Max", tier, price_rank=1.0) == Quality(tier, "admin")


def test_without_evidence_a_model_is_medium_and_marked_as_derived() -> None:
    assert derive() == Quality("medium", "derived", ("nothing tells it apart",))


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("Model Pro", "high"),
        ("Model [schnell]", "low"),
        ("Model Turbo", "low"),
        ("Model Pro Fast", "low"),
        ("Pronto", "medium"),
    ],
)
def test_words_of_a_name_set_variants_apart(name: str, tier: str) -> None:
    assert derive(name).tier == tier


@pytest.mark.parametrize(
    ("rank", "tier"), [(0.0, "low"), (0.2, "low"), (0.5, "medium"), (0.8, "high"), (0.95, "ultra"), (1.0, "ultra")]
)
def test_the_price_among_its_task_is_evidence(rank: float, tier: str) -> None:
    assert derive(price_rank=rank).tier == tier


def test_few_steps_are_those_of_a_distilled_model() -> None:
    assert derive(inputs=[STEPS | {"default": 4}]).tier == "low"
    assert derive(inputs=[STEPS | {"default": 28}]).tier == "medium"


def test_a_large_output_is_evidence_and_a_meaningless_bound_is_none() -> None:
    assert derive(limits={"max_resolution": "4K"}).tier == "high"
    assert derive(limits={"max_width": 512, "max_height": 512}).tier == "low"
    assert derive(limits={"max_width": 14142, "max_height": 14142}).tier == "medium"


def test_evidence_is_named() -> None:
    evidence = derive("Model Pro", limits={"max_resolution": "4K"}, price_rank=0.99).evidence
    assert len(evidence) == 3
    assert "pro" in evidence[0]


@pytest.mark.parametrize(
    ("limits", "media_type", "lines"),
    [
        ({"max_resolution": "1080p"}, "video", 1080),
        ({"max_resolution": "true_1080p"}, "video", 1080),
        ({"max_resolution": "4K"}, "video", 2160),
        ({"max_resolution": "4K"}, "image", 4096),
        ({"max_resolution": "1536x1024"}, "image", 1024),
        ({"max_width": 2048, "max_height": 1024}, "image", 1024),
        ({"max_resolution": "auto"}, "video", None),
        ({}, "image", None),
    ],
)
def test_the_shorter_side_of_the_largest_output_is_read(
    limits: dict[str, Any], media_type: str, lines: int | None
) -> None:
    assert largest_lines(limits, media_type) == lines
