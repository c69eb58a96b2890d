from collections import Counter
from functools import cache
from typing import Any

import pytest

from catalog.changes.comparing import change_class, diff_schemas, readable_diff
from catalog.schemas.mapping import fingerprint
from tests.recorded import JANUARY, JUNE, mapped, requires_recorded

Changes = list[dict[str, Any]]


@cache
def recorded() -> dict[str, Changes]:
    """What changed from January to June, by endpoint."""
    before, after = mapped(JANUARY), mapped(JUNE)
    return {name: diff_schemas(before[name], after[name]) for name in before if name in after}


@requires_recorded
def test_every_recorded_version_that_differs_has_changes_and_no_other_has() -> None:
    before, after = mapped(JANUARY), mapped(JUNE)
    for name, changes in recorded().items():
        assert bool(changes) == (fingerprint(before[name]) != fingerprint(after[name])), name


@requires_recorded
def test_the_totals_from_january_to_june() -> None:
    changed = [changes for changes in recorded().values() if changes]
    assert len(recorded()) == 763
    assert len(changed) == 550
    assert sum(change_class(changes) == "breaking" for changes in changed) == 79
    kinds = Counter((change["side"], change["kind"]) for changes in changed for change in changes if change["breaking"])
    assert kinds == {
        ("input", "bound_tightened"): 57,
        ("input", "required_added"): 42,
        ("input", "null_refused"): 36,
        ("input", "field_removed"): 35,
        ("input", "default_changed"): 17,
        ("input", "field_added"): 4,
        ("input", "type_changed"): 2,
        ("output", "output_removed"): 6,
        ("output", "type_changed"): 1,
    }


# Read by hand in both documents of each endpoint.
BY_HAND = {
    "fal-ai/flux-1/dev": [
        "Breaking: Input acceleration: the default went from regular to none, which changes the cost."
    ],
    "fal-ai/veo2/image-to-video": ["Breaking: Input aspect_ratio: removed."],
    "fal-ai/pixverse/v5/transition": ["Breaking: Input end_image_url: required now."],
    "fal-ai/gpt-image-1.5": ["Breaking: Input prompt: the greatest length is now 32000."],
    "fal-ai/longcat-single-avatar/audio-to-video": [
        "Breaking: Input num_inference_steps: the default went from 30 to 50, which changes the cost."
    ],
    "bria/video/erase/mask": ["Breaking: Output video: removed."],
    "fal-ai/deepfilternet3": ["Breaking: Output audio_file.bitrate: the type went from string to any."],
    "fal-ai/fast-animatediff/turbo/text-to-video": [
        "Breaking: Input num_frames: the maximum went from 64 to 32.",
        "Breaking: Input num_inference_steps: the default went from 4 to 8, which changes the cost.",
        "Breaking: Input motions: removed.",
    ],
    "fal-ai/wan-trainer/t2v": ["Breaking: Input number_of_steps: the minimum went from 1 to 100."],
    "fal-ai/ai-avatar/multi": [
        "Breaking: Input seed: the minimum is now 0.",
        "Breaking: Input seed: the maximum is now 4294967295.",
    ],
    "fal-ai/sora-2/text-to-video": [],
    "fal-ai/trellis-2": [],
    "fal-ai/wan-vace-14b/inpainting": [],
}
COMPATIBLE_BY_HAND = {
    "fal-ai/sora-2/text-to-video": "Input duration: also allowed now: 16, 20.",
    "fal-ai/trellis-2": "Input decimation_target: the minimum went from 100000 to 5000.",
    "fal-ai/wan-vace-14b/inpainting": "Input mask_video_url: no longer required.",
    "fal-ai/fast-animatediff/turbo/text-to-video": "Input num_inference_steps: the maximum went from 8 to 50.",
}


@requires_recorded
@pytest.mark.parametrize("name", BY_HAND)
def test_breaking_changes_are_those_that_were_read_by_hand(name: str) -> None:
    assert [words for words in readable_diff(recorded()[name]) if words.startswith("Breaking")] == BY_HAND[name]


@requires_recorded
@pytest.mark.parametrize("name", COMPATIBLE_BY_HAND)
def test_compatible_changes_are_told_as_they_were_read_by_hand(name: str) -> None:
    assert COMPATIBLE_BY_HAND[name] in readable_diff(recorded()[name])
