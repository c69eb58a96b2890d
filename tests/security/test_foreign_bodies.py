"""The foreign protocols never crash either, whatever is in a body, and tell every mistake in their own form.

GENFEED_FUZZ=N sends N bodies to each address instead of a few (`make fuzz`).
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient
from hypothesis import given
from hypothesis import strategies as st

from genfeed.clients.limits import reads
from genfeed.front.connections import HANDED_OVER
from tests.security.fuzzing import same_each_time, sends  # noqa: F401 - a fixture
from tests.security.undone import undone
from tests.security.world import MODEL, World, make_world

pytestmark = pytest.mark.django_db

FAL = ("/fal/queue/fal-ai/flux/dev", "/fal/run/fal-ai/flux/dev", "/fal/storage/upload/initiate")
OPENAI = ("/v1/images/generations", "/v1/images/edits", "/v1/videos")
NAMES = [
    "model", "prompt", "n", "size", "seconds", "quality", "response_format", "image", "input_reference", "user",
    "stream", "background", "output_format", "file_name", "content_type", "num_images", "image_size",
    "extra_body",
]  # fmt: skip
WORDS = [MODEL, "a fox", "1024x1024", "auto", "b64_json", "url", "", "-1", "asset:ast_x", "data:,", "data:image/png,"]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=20)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
BODIES = st.one_of(
    st.fixed_dictionaries({"model": st.just(MODEL), "prompt": TEXTS}, optional=dict.fromkeys(NAMES[2:], VALUES)),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
    VALUES,
)


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.mark.usefixtures("same_each_time")
@pytest.mark.parametrize("address", [*FAL, *OPENAI])
def test_a_body_that_nobody_foresaw_is_answered_in_the_protocols_own_form(world: World, address: str) -> None:
    http = HttpClient(headers={"Authorization": f"Bearer {world.key}"}, raise_request_exception=False)

    @sends(40)
    @given(body=BODIES)
    def run(body: Any) -> None:
        reads.forget()
        try:
            sent = orjson.dumps(body)
        except TypeError:
            # Half a character, which no JSON can hold.
            return
        with undone():
            # As the front does: without it nothing is accepted that has to wait.
            answer = http.post(address, sent, content_type="application/json", **{HANDED_OVER: None})  # type: ignore[arg-type]
        assert answer.status_code < 500, (body, answer.content)
        if answer.status_code >= 400:
            told = answer.json()
            assert told["detail"] if address in FAL else told["error"]["message"], told

    run()
