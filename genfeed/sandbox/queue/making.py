"""What a request comes to: checked, made, billed."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson

from genfeed.sandbox.media.lengths import seconds_of
from genfeed.sandbox.media.making import Wish, make
from genfeed.sandbox.money.bills import Bill
from genfeed.sandbox.money.charging import billed_units, price_of, shown_units
from genfeed.sandbox.money.work import Work, decimal
from genfeed.sandbox.outputs.contract import Contract
from genfeed.sandbox.outputs.filling import Filling
from genfeed.sandbox.outputs.kinds import PICTURES
from genfeed.sandbox.outputs.measures import Measures, measure
from genfeed.sandbox.outputs.validation import problems_of
from genfeed.sandbox.queue.errors import UNITS, chosen_outcome, rejected_outcome
from genfeed.sandbox.queue.request import Outcome, QueuedRequest

if TYPE_CHECKING:
    from genfeed.sandbox.catalog import Model
    from genfeed.sandbox.state import Sandbox

SOURCES = ("video_url", "audio_url", "input_video_url", "driving_video_url", "video", "audio")
DATA_URI = re.compile(r"data:[^,]*;base64,")


def make_outcome(sandbox: Sandbox, request: QueuedRequest, now: float) -> Outcome:
    """Run a request to its end, with its bill where it has one."""
    model = sandbox.models.get(request.endpoint_id)
    if model is None:
        path = request.endpoint_id.removeprefix(request.app) or "/"
        return rejected_outcome(f"Path {path} not found", status=404)
    if not isinstance(request.given, dict):
        problem = {"loc": ["body"], "msg": "Input should be a valid dictionary", "type": "dict_type"}
        return rejected_outcome([problem | {"input": request.given}])
    contract = sandbox.contracts.of(model)
    if problems := problems_of(contract, request.given):
        return rejected_outcome(problems)
    if "error" in request.effects:
        return _fail(sandbox, request, model, now)
    request.machine_seconds = _machine_seconds(request, model, now)
    given = contract.with_defaults(request.given)
    measures = measure(given, is_film=_is_film(contract), input_seconds=_input_seconds(sandbox, given))
    filling = _fill(sandbox, request, contract, given, measures, now)
    output = filling.fill()
    units = _units(request, model, given, filling, _is_film(contract), built_in=sandbox.catalog_path is None)
    _bill(sandbox, request, model, units, now)
    # An app that sets no units is billed by the machine's seconds, and then there is no header.
    hidden = request.effects.get("no_units_header") or model.price is None
    return Outcome(200, orjson.dumps(output), {} if hidden else {UNITS: shown_units(units)})


def _fill(
    sandbox: Sandbox, request: QueuedRequest, contract: Contract, given: dict[str, Any], measures: Measures, now: float
) -> Filling:
    is_nsfw = request.effects.get("nsfw", False)
    is_dark = is_nsfw and given.get("enable_safety_checker", True) is not False
    as_data = given.get("sync_mode") is True

    def keep(wish: Wish) -> str:
        if is_dark and wish.kind in PICTURES:
            wish = wish.darkened()
        if as_data:
            return f"data:{wish.content_type};base64,{b64encode(make(wish)).decode()}"
        path = sandbox.files.add_made(wish, lifetime=request.options.lifetime, effects=request.effects, now=now)
        request.file_paths.append(path)
        return request.effects.get("file_url", sandbox.base_url + path)

    return Filling(
        contract=contract,
        given=given,
        measures=measures,
        seed=_seed(request.endpoint_id, given),
        keep=keep,
        is_nsfw=is_nsfw,
        most_files=request.effects.get("images"),
        file_count=request.effects.get("files"),
        without_files=request.effects.get("no_media", False),
        inference_time=request.machine_seconds,
    )


def _seed(endpoint_id: str, given: dict[str, Any]) -> str:
    """What decides the look of the output: the input as a whole, so that the same input gives the same files."""
    written = orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
    return f"{endpoint_id} {given.get('seed', '')} {crc32(written):08x}"


def _is_film(contract: Contract) -> bool:
    if "video" in contract.category.rsplit("-to-", 1)[-1]:
        return True
    outputs = contract.resolve(contract.outputs or {}).get("properties") or {}
    return "video" in outputs or "videos" in outputs


def _input_seconds(sandbox: Sandbox, given: dict[str, Any]) -> float | None:
    """The length of an input film or sound; it is known for files that lie here, and for those in the input itself."""
    for name in SOURCES:
        address = given.get(name)
        if not isinstance(address, str):
            continue
        if (found := DATA_URI.match(address)) is not None:
            seconds = seconds_of(_decoded(address[found.end() :]))
        else:
            seconds = sandbox.files.seconds_of(address.removeprefix(sandbox.base_url))
        if seconds:
            return seconds
    return None


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text)
    except ValueError:
        return b""


def _machine_seconds(request: QueuedRequest, model: Model, now: float) -> float:
    """How long the machine was busy, which is billed where seconds of machines are sold.

    Time is compressed here: a run of a fraction of a second stands for one as long as the model says of itself, or for
    some seconds, give or take a fifth by the input. Where a run really takes longer, that counts.
    """
    minutes = model.metadata.get("duration_estimate") if model.metadata else None
    usual = minutes * 60 if minutes else 2.0 + crc32(model.endpoint_id.encode()) % 80 / 10
    spread = 0.8 + crc32(orjson.dumps(request.given)) % 400 / 1000
    return round(max(usual * spread, now - (request.started_at or now)), 4)


def _units(
    request: QueuedRequest,
    model: Model,
    given: dict[str, Any],
    filling: Filling,
    is_film: bool,
    *,
    built_in: bool,
) -> Decimal:
    pictures = sum(wish.kind in PICTURES for wish in filling.files)
    work = Work(given, filling.measures, pictures, is_film, request.machine_seconds)
    units = billed_units(model, work, has_variants=built_in)
    return units * decimal(request.effects.get("units_times", 1))


def _fail(sandbox: Sandbox, request: QueuedRequest, model: Model, now: float) -> Outcome:
    ending = request.effects["error"]
    outcome = chosen_outcome(ending, request.given)
    if "units" not in ending:
        return outcome
    units = decimal(ending["units"])
    if units > 0 and ending["status"] < 500:
        _bill(sandbox, request, model, units, now)
    return Outcome(
        outcome.status,
        outcome.body,
        outcome.headers | {UNITS: shown_units(units)},
        outcome.error_type,
        outcome.error,
    )


def _bill(sandbox: Sandbox, request: QueuedRequest, model: Model, units: Decimal, now: float) -> None:
    price, unit = price_of(model)
    effects, faults = request.effects, sandbox.faults
    bill = Bill(
        request_id=request.request_id,
        endpoint_id=request.endpoint_id,
        at=now,
        units=units,
        unit=effects.get("bill_unit", unit),
        unit_price=price,
        discount_percent=decimal(effects.get("discount_percent", faults.discount_percent)),
        visible_at=now + effects.get("event_lag", faults.billing_lag),
        correction=effects.get("correction"),
        account=request.account,
    )
    owner = sandbox.keys.named(request.account) or faults
    owner.balance = max(0.0, owner.balance - float(bill.total(now)))
    if not effects.get("event_missing"):
        sandbox.bills.add(bill)
