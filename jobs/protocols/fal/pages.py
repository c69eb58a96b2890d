"""Which pages of other sites may read our answers: those whose origin a browser token names, and nobody with a key."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.cache import patch_vary_headers

from genfeed.clients.keys import Caller

_HEADERS = (
    "authorization, content-type, accept, idempotency-key, x-fal-target-url, x-fal-queue-priority, "
    "x-fal-request-timeout, x-fal-runner-hint, x-fal-no-retry, x-fal-store-io, x-fal-object-lifecycle, "
    "x-fal-object-lifecycle-preference"
)
_EXPOSED = (
    "x-fal-request-id, x-fal-billable-units, x-fal-error-type, x-fal-retryable, x-fal-needs-retry, "
    "x-fal-request-timeout-type, x-genfeed-dropped-fields, x-request-id, retry-after"
)


def preflight() -> HttpResponse:
    """What a browser asks before it asks: nothing is told of anybody, so everybody may know."""
    answer = _allow_all(HttpResponse(status=204))
    answer.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT"
    answer.headers["Access-Control-Allow-Headers"] = _HEADERS
    answer.headers["Access-Control-Max-Age"] = "600"
    return answer


def allow(answer: HttpResponse, caller: Caller | None) -> HttpResponse:
    """Lets the pages of a token's origin read the answer, and all pages what has no caller.

    That is an error, a public key, or a file put at a secret address. A key of the client has no place in a page, so no
    page reads what it brings.
    """
    if caller is None:
        return _allow_all(answer)
    if caller.token:
        answer.headers["Access-Control-Allow-Origin"] = caller.token.origin
        answer.headers["Access-Control-Expose-Headers"] = _EXPOSED
        patch_vary_headers(answer, ["Origin"])
    return answer


def _allow_all(answer: HttpResponse) -> HttpResponse:
    """Lets every page read the answer: what it holds belongs to whoever has the address."""
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Access-Control-Expose-Headers"] = _EXPOSED
    return answer
