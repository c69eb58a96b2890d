"""What went wrong, in our own words and codes: one mapping for every provider, by status and type, never by text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from catalog.providers.queue import RefusedError, Result, VersionGoneError

_CONTENT = {"content_policy_violation"}
_NOTHING = {"no_media_generated"}
_TIMEOUTS = {"request_timeout", "startup_timeout", "generation_timeout"}
_UNAVAILABLE = {
    "runner_scheduling_failure",
    "runner_connection_timeout",
    "runner_disconnected",
    "runner_connection_refused",
    "runner_connection_error",
    "downstream_service_unavailable",
    "concurrent_requests_limit",
}
_CANCELED = {"client_cancelled", "client_disconnected"}
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, for its client: a code of the closed list, what happened, and what to do."""

    code: str
    message: str
    hint: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "hint": self.hint}


QUEUE_TIMEOUT = Failure(
    "queue_timeout",
    "The job waited in the queue for too long and was given up before it was sent to the provider.",
    "Nothing was charged. Send it again, or run fewer jobs at once.",
)
SUBMIT_UNKNOWN = Failure(
    "submit_unknown",
    "The provider's answer was lost, and the request could not be found there.",
    "Nothing was charged. Send it again.",
)
MODEL_RETIRED = Failure(
    "model_retired", "The provider no longer offers this model.", "Nothing was charged. Choose another model."
)
VERSION_GONE = Failure(
    "model_retired",
    "The provider no longer has the version of the model that the catalog knows.",
    "Nothing was charged. The catalog is being read again: send it again in some minutes, or choose another model.",
)
DEADLINE = Failure(
    "timeout",
    "The job took longer than its deadline and was canceled at the provider.",
    "Send it again, or choose a faster model.",
)
NEVER_ENDED = Failure(
    "timeout",
    "The provider has not told how the job ended within a day.",
    "Nothing was charged. Send it again.",
)
OUR_ACCOUNT = Failure(
    "provider_unavailable",
    "The provider does not accept our requests right now.",
    "Nothing was charged, and we have been told. Try again later, or choose a model of another provider.",
)
NO_MEDIA = Failure(
    "provider_error",
    "The provider reported success, and its result holds none of the media that the model makes.",
    "Nothing was charged. Send it again; if it stays, report the requestId.",
)
NO_PAYLOAD = Failure(
    "provider_error",
    "The provider's result could not be read.",
    "Send the job again; if it stays, report the requestId.",
)
SECRET_LOST = Failure(
    "not_configured",
    "A secret of the input can't be read any more: the operator has lost the key that it was sealed with.",
    "Nothing was sent or charged. Send the job again.",
)
LOST = Failure(
    "provider_error",
    "The provider no longer knows the request.",
    "Nothing was charged. Send it again.",
)


def failure_of(result: Result) -> Failure:
    """The failure that a result with an error status tells of."""
    kind = error_type_of(result)
    if kind in _CONTENT:
        return Failure(
            "content_refused",
            "The provider refused the content: " + (words_of(result.detail) or "it is against its policy."),
            "Change the prompt or the input files.",
        )
    if kind in _NOTHING:
        return Failure("provider_error", "The provider generated nothing.", "Change the input, or send it again.")
    if kind in _TIMEOUTS or result.status == 504:
        return Failure("timeout", "The provider ran out of time.", "Send it again, or choose a faster model.")
    if kind in _UNAVAILABLE or result.status in (429, 503):
        return Failure("provider_unavailable", "The provider had no capacity for the job.", "Send it again later.")
    if result.status in (401, 403):
        return OUR_ACCOUNT
    if 400 <= result.status < 500:
        return rejected(result.detail)
    return Failure("provider_error", "The provider failed to run the job.", "Send it again; if it stays, report it.")


def refused_submit(error: RefusedError) -> Failure:
    """The failure of a submit that the provider refused with a 4xx."""
    if isinstance(error, VersionGoneError):
        return VERSION_GONE
    if error.status == 404:
        return MODEL_RETIRED
    return rejected(error.detail)


def rejected(detail: Any) -> Failure:
    """An input that the provider does not take, with the field and its words."""
    words = words_of(detail)
    return Failure(
        "provider_rejected_input",
        "The provider rejected the input" + (f": {words}" if words else "."),
        "Correct the input; details of each field are in the model's schema.",
    )


def is_cancellation(result: Result) -> bool:
    """Whether a result says that the request was canceled."""
    return result.status == 499 or error_type_of(result) in _CANCELED


def error_type_of(result: Result) -> str:
    """The provider's type of an error: of the header, else of the first entry of the detail."""
    if result.error_type:
        return result.error_type
    first = result.detail[0] if isinstance(result.detail, list) and result.detail else {}
    return str(first.get("type", "")) if isinstance(first, dict) else ""


def words_of(detail: Any) -> str:
    """What a provider says of a problem, field by field, short: a text, or a list of {loc, msg, type}."""
    if isinstance(detail, str):
        return detail[:_LONGEST]
    found = []
    for item in detail if isinstance(detail, list) else []:
        if isinstance(item, dict):
            place = ".".join(str(part) for part in item.get("loc", []) if part != "body")
            found.append(f"{place}: {item.get('msg', '')}" if place else str(item.get("msg", "")))
    return "; ".join(found)[:_LONGEST]
