"""The tools: what each is for, what it takes, and which request to the API it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.protocols.agents.inner import Call

Arguments = Mapping[str, Any]
_SHOWN = ("id", "provider", "name", "category", "media_type", "kind", "description", "capabilities", "price")


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. `scopes`: what the key needs; `call` makes the request of it, `show` what of the answer is told."""

    name: str
    scopes: tuple[str, ...]
    description: str
    fields: dict[str, dict[str, Any]]
    call: Callable[[Arguments], Call]
    required: tuple[str, ...] = ()
    reads_only: bool = True
    show: Callable[[Any], Any] = lambda body: body

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of its arguments."""
        return {
            "type": "object",
            "properties": self.fields,
            "required": list(self.required),
            "additionalProperties": False,
        }


def _text(about: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": about, **more}


def _models(body: Any) -> Any:
    items = [{name: item[name] for name in _SHOWN} for item in body["items"]]
    return {"items": items, "next_cursor": body["next_cursor"]}


def _list(given: Arguments) -> Call:
    names = {"query": "q"}
    return Call("GET", "/api/v1/models", {names.get(name, name): value for name, value in given.items()})


def _run(given: Arguments) -> Call:
    body = {name: given[name] for name in ("model", "input", "max_price", "metadata") if name in given}
    return Call("POST", "/api/v1/jobs", body=body)


_MODEL = _text("The id of a model, as search_models gives it.")
_INPUT = {"type": "object", "description": "The input of the model, as its input_schema says."}
_JOB = _text("The id of a job, job_….", pattern="^[A-Za-z0-9_]{1,60}$")
_PAGE: dict[str, dict[str, Any]] = {
    "media_type": _text("What it makes.", enum=["image", "video", "audio", "text", "3d", "other"]),
    "category": _text("The provider's word, e.g. text-to-image."),
    "capability": _text("What it can, e.g. image_input, seed, lora."),
    "max_price": _text("The most that one unit may cost, in USD."),
    "sort": _text("In which order.", enum=["id", "name", "price", "-price", "updated_at", "-updated_at"]),
    "limit": {"type": "integer", "minimum": 1, "maximum": 200, "description": "How many; 50 where it is not given."},
    "cursor": _text("next_cursor of the page before."),
}
_USAGE = {
    "from": _text("First day, e.g. 2026-11-01; 30 days ago where it is not given."),
    "to": _text("Last day, included; today where it is not given."),
    "group_by": _text("day, month, model, category, key, outcome; up to three, by commas."),
}

TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "search_models", ("models:read",),
            "Finds models whose id, name, category, description or tags have all the words.",
            {"query": _text("Words, e.g. 'upscale image'."), **_PAGE}, _list, ("query",), show=_models,
        ),
        Tool(
            "list_models", ("models:read",),
            "Lists the models that may be used, with prices of a unit.", _PAGE, _list, show=_models,
        ),
        Tool(
            "get_model_schema", ("models:read",),
            "Everything about a model: input and output schema, price, capabilities. To be read before it is run.",
            {"model": _MODEL}, lambda given: Call("GET", f"/api/v1/models/{given['model']}"), ("model",),
        ),
        Tool(
            "estimate", ("estimates",),
            "What a request would cost in USD, without running it.",
            {"model": _MODEL, "input": _INPUT},
            lambda given: Call("POST", "/api/v1/estimates", body=dict(given)), ("model", "input"),
        ),
        Tool(
            "run_job", ("jobs:write", "jobs:read"),
            "Runs a model, which SPENDS MONEY, and waits for its result. Estimate first, and set max_price. The answer "
            "is the job: its status, charge, output with addresses of files, or error. If it is still at work, ask "
            "get_job later.",
            {
                "model": _MODEL, "input": _INPUT,
                "max_price": _text("USD: a dearer request is refused, and a charge never passes it, e.g. '0.05'."),
                "metadata": {"type": "object", "description": "Notes that are kept with the job."},
                "wait_seconds": {"type": "integer", "minimum": 0, "description": "How long to wait at most."},
                "idempotency_key": _text(
                    "Of your own for what shall run once: the same key and request again is the same job, for a day.",
                    minLength=1, maxLength=200,
                ),
            },
            _run, ("model", "input"), reads_only=False,
        ),
        Tool(
            "get_job", ("jobs:read",), "A job: its status, charge, and its output once it has succeeded.",
            {"job": _JOB}, lambda given: Call("GET", f"/api/v1/jobs/{given['job']}"), ("job",),
        ),
        Tool(
            "cancel_job", ("jobs:write",), "Cancels a job; one that succeeds all the same is charged.",
            {"job": _JOB}, lambda given: Call("POST", f"/api/v1/jobs/{given['job']}/cancel"), ("job",),
            reads_only=False,
        ),
        Tool(
            "usage", ("usage:read",), "What jobs were charged, in sums.", _USAGE,
            lambda given: Call("GET", "/api/v1/usage", {"group_by": "month", **given}),
        ),
    )
}  # fmt: skip
