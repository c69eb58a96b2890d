"""The API keeps its own document, whatever is sent: no crash, answers as described, one shape of errors.

GENFEED_FUZZ=N sends N requests to each operation instead of a few (`make fuzz`), others with another GENFEED_FUZZ_SEED.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, reset_queries
from hypothesis import given
from hypothesis import strategies as st

from genfeed.api_document import current_document
from genfeed.clients.errors import CODES
from genfeed.clients.limits import reads, strangers
from tests.lazily import Lazily
from tests.security.fuzzing import same_each_time, sends  # noqa: F401 - a fixture
from tests.security.undone import undone
from tests.security.world import MODEL, World, make_world

pytestmark = pytest.mark.django_db

schemathesis, failures = Lazily("schemathesis"), Lazily("schemathesis.core.failures")
for_all, by_description = Lazily("schemathesis.checks"), Lazily("schemathesis.specs.openapi.checks")


def piece_of_a_file(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else orjson.dumps(value)


# Refused by whatever stands before an operation, and so in no operation's description.
EVERYWHERE = {405, 413, 429}


@pytest.fixture
def world() -> Iterator[World]:
    """The application closes connections after a request; the one of the test goes on."""
    made = make_world()
    # Not before: the client that makes the world connects them again.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    request_started.disconnect(reset_queries)
    yield made
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
    request_started.connect(reset_queries)


@pytest.mark.usefixtures("same_each_time")
def test_every_operation_answers_as_it_says(world: World) -> None:
    schemathesis.serializer("application/offset+octet-stream")(piece_of_a_file)
    schema = schemathesis.openapi.from_dict(current_document())
    schema.app = get_wsgi_application()
    broken: dict[str, str] = {}
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if problem := fuzz(operation, world):
            broken[operation.label] = problem
    assert not broken, "\n".join(f"{label}: {problem}" for label, problem in broken.items())


def fuzz(operation: Any, world: World) -> str:
    """Sends what fits the description and what does not; the first problem, "" where there is none."""
    problems: list[str] = []

    @sends(6)
    @given(case=operation.as_strategy(), is_real=st.booleans())
    def run(case: Any, is_real: bool) -> None:
        if problems:
            return
        if is_real:
            known = {name: value for name, value in world.ids.items() if name in (case.path_parameters or {})}
            case.path_parameters = {**(case.path_parameters or {}), **known}
            if isinstance(case.body, dict) and "model" in case.body:
                case.body["model"] = MODEL
        for module in (reads, strangers):
            module.forget()
        with undone():
            headers = {"Authorization": f"Bearer {world.key}", "Host": "localhost", "Tus-Resumable": "1.0.0"}
            answer = case.call(headers=headers)
        try:
            case.validate_response(answer, checks=checks_for(answer.status_code))
        except (failures.Failure, failures.FailureGroup) as failure:
            found = failure.exceptions if isinstance(failure, failures.FailureGroup) else [failure]
            told = "; ".join(f"{one.title}: {one.message}" for one in found)
            problems.append(f"{answer.status_code}: {told[:1500]} ({case.as_curl_command()[:600]})")
            return
        if answer.status_code >= 400 and (wrong := wrong_error(answer)):
            problems.append(wrong)

    run()
    return problems[0] if problems else ""


def checks_for(status: int) -> list[Any]:
    if status in EVERYWHERE:
        return [for_all.not_a_server_error]
    kept = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    return [for_all.not_a_server_error, *(getattr(by_description, name) for name in kept)]


def wrong_error(answer: Any) -> str:
    """What is wrong with the shape of an error; "" where nothing is."""
    if not answer.content:
        return "" if answer.request.method == "HEAD" else "an error without a body"
    told = answer.json()
    missing = {"code", "message", "hint", "requestId"} - told.keys()
    if missing:
        return f"{answer.status_code}: an error without {missing}: {told}"
    if told["code"] not in CODES:
        return f"{answer.status_code}: {told['code']} is none of the known codes"
    if told["requestId"] != answer.headers["x-request-id"][0]:
        return "the requestId is not that of the answer"
    return "" if told["message"].endswith((".", "…", "?", "!")) else f"no sentence: {told['message']!r}"
