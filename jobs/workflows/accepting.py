"""Accepting a workflow: all of it is checked and quoted before anything is written; its jobs come later, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog import narrowing, published
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.accepting.accept import Wanted, prepare, refuse_offline, refuse_unrunnable
from jobs.accepting.null_characters import refuse_null_characters
from jobs.accepting.own_keys import choose_key
from jobs.accepting.secret_inputs import SHOWN
from jobs.assets import inline
from jobs.assets.texts import replaced_texts
from jobs.ids import new_id
from jobs.testmode.triggers import check_triggers
from jobs.workflows.ending import tell
from jobs.workflows.instead import check_spares
from jobs.workflows.models import WorkflowRun, WorkflowStep
from jobs.workflows.plans import Planned, WantedStep, planned
from jobs.workflows.templates import refuse_too_large
from pricing.estimates.asking import Asking
from pricing.estimates.costs import CONFIDENCES
from pricing.ledger.accounts import account_of, lock_account
from pricing.ledger.holds import not_enough
from pricing.money import format_usd
from pricing.workflows.estimate import PricedStep, in_step, price_workflow
from pricing.workflows.references import Reference

MOST_JOBS = 500


@dataclass(frozen=True, slots=True)
class WantedWorkflow:
    """What a client asks for. `max_price` of the whole, in nano-USD; `template`: id and version, where it has one."""

    steps: Sequence[WantedStep]
    max_price: int | None = None
    low_priority: bool = False
    webhook_url: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    template: tuple[str, int] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


def accept_workflow(
    wanted: WantedWorkflow, caller: Caller, *, beside: Callable[[WorkflowRun], None] | None = None
) -> WorkflowRun:
    """Accepts a workflow; dispatchers run it. Raises ApiError where nothing was accepted, the step at fault named.

    Nothing is held yet: each job is held as it starts. What all of it is expected to cost must be there now.
    `beside` writes in the same transaction, e.g. the answer that repetitions get.
    """
    refuse_null_characters({"steps": [one.step.input for one in wanted.steps], "params": wanted.params})
    sent = {"steps": [one.step.input for one in wanted.steps], "params": dict(wanted.params)}
    with inline.kept(sent, caller.client_id) as named:
        steps = [
            replace(one, step=replace(one.step, input=input))
            for one, input in zip(wanted.steps, named["steps"], strict=True)
        ]
        wanted = replace(wanted, params=named["params"])
        refuse_too_large("What stands in params", wanted.params)
        plan = _plan(steps, wanted, caller)
        run = _make(wanted, plan, caller)
        with transaction.atomic(durable=True):
            _write(run, plan)
            if beside:
                beside(run)
    return run


def _plan(steps: Sequence[WantedStep], wanted: WantedWorkflow, caller: Caller) -> list[Planned]:
    asking = Asking(
        False,
        caller.live_id,
        caller.client_id,
        caller.is_test,
        catalog=narrowing.narrowed(published.current(), caller),
    )
    by_name = {one.step.name: one for one in steps}
    priced = price_workflow([one.step for one in steps], asking)
    jobs = sum(one.runs for one in priced.values())
    if jobs > MOST_JOBS:
        raise ApiError(
            "invalid_request",
            f"The workflow would be {jobs:,} jobs; at most {MOST_JOBS} can be run as one.",
            "Lower a quantity or a fan-out, or send several workflows.",
            details={"jobs": jobs, "most": MOST_JOBS},
        )
    taken = [reference for one in priced.values() for reference in one.step.references]
    for name, one in priced.items():
        _check_step(by_name[name], one, [reference for reference in taken if reference.step == name], wanted, caller)
    plan = [planned(by_name[name], one) for name, one in priced.items()]
    _check_money(plan, wanted, caller)
    return plan


def _check_step(
    wanted: WantedStep, priced: PricedStep, read_by: Sequence[Reference], workflow: WantedWorkflow, caller: Caller
) -> None:
    """All that a job of this step would be refused for and that can be known now; `read_by`: what others take of it."""
    step = priced.step
    limits = [limit for limit in (wanted.max_price, workflow.max_price) if limit is not None]
    try:
        check_spares(wanted, read_by, caller, has_limit=bool(limits))
        if not step.references:
            model = f"{priced.one.provider}:{priced.one.model}"
            most = min(limits, default=None)
            first = Wanted(model, step.input, step.media, max_price=most, cache=wanted.cache, metadata=wanted.metadata)
            prepare(first, caller)
            return
        if caller.is_test:
            check_triggers(wanted.metadata, step.input)
        refuse_unrunnable(priced.one.provider)
        if not wanted.cache:
            refuse_offline(priced.one.provider, caller)
        if not caller.is_test:
            choose_key(priced.one.provider, caller.client_id, "")
        if priced.one.price is None and not limits:
            raise ApiError(
                "model_unpriced",
                f"What it costs is known only when the steps before it are done ({', '.join(priced.one.missing)}).",
                "Tell media facts where those are missing, or set max_price, for the step or for the workflow.",
                details={"missing": list(priced.one.missing)},
            )
        if priced.one.price is not None and limits and priced.one.price > min(limits):
            raise _above("A run of it costs", priced.one.price, min(limits))
    except ApiError as error:
        raise in_step(step, error) from None


def _check_money(plan: Sequence[Planned], wanted: WantedWorkflow, caller: Caller) -> None:
    known = sum(one.price or 0 for one in plan)
    if wanted.max_price is not None and known > wanted.max_price:
        raise _above("The workflow costs", known, wanted.max_price)
    account = account_of(caller.live_id)
    is_paid = settings.GENFEED_MODE == "cloud" and not caller.is_test
    if is_paid and known > account.available + account.credit_line:
        raise not_enough(account, known)


def _above(words: str, price: int, most: int) -> ApiError:
    return ApiError(
        "price_above_max",
        f"{words} {format_usd(price)} USD, and at most {format_usd(most)} USD were allowed.",
        "Raise max_price, or ask for less.",
        details={"price": format_usd(price), "max_price": format_usd(most)},
    )


def _make(wanted: WantedWorkflow, plan: Sequence[Planned], caller: Caller) -> WorkflowRun:
    now = timezone.now()
    return WorkflowRun(
        id=new_id("wfl"),
        client_id=caller.client_id,
        key_id=caller.key_id or None,
        template_id=wanted.template[0] if wanted.template else None,
        template_version=wanted.template[1] if wanted.template else None,
        params=_without_secrets(wanted, plan),
        plan=[one.as_json() for one in plan],
        quote=_quote(plan),
        max_price=wanted.max_price,
        priority="low" if wanted.low_priority else "normal",
        webhook_url=wanted.webhook_url,
        metadata=dict(wanted.metadata),
        created_at=now,
        next_at=now,
    )


def _without_secrets(wanted: WantedWorkflow, plan: Sequence[Planned]) -> dict[str, Any]:
    """The values of parameters as they may be kept and shown: what stands in a secret's place is not told, however
    deep in a value it was sent."""
    sent = {one.step.name: one.step.input for one in wanted.steps}
    secret = {sent[step.name][name] for step in plan for name in step.secret}
    shown: dict[str, Any] = replaced_texts(dict(wanted.params), lambda text: SHOWN if text in secret else text)
    return shown


def _quote(plan: Sequence[Planned]) -> dict[str, Any]:
    """What all steps together were quoted at; an amount that one step leaves open is open."""
    sums: dict[str, int | None] = {}
    for name in ("price", "low", "high"):
        amounts = [getattr(one, name) for one in plan]
        sums[name] = None if None in amounts else sum(amounts)
    worst = max((one.confidence for one in plan), key=CONFIDENCES.index)
    return {**sums, "confidence": worst}


def _write(run: WorkflowRun, plan: Sequence[Planned]) -> None:
    # Nobody else counts or adds workflows of the client until the end of the transaction.
    account_of(run.client_id)
    lock_account(run.client_id)
    open_ones = WorkflowRun.objects.filter(client_id=run.client_id, finished_at=None).count()
    if open_ones >= settings.MAX_OPEN_WORKFLOWS:
        raise ApiError(
            "queue_full",
            f"{open_ones} workflows are running, and {settings.MAX_OPEN_WORKFLOWS} may be.",
            "Send the next one when one has ended.",
            details={"open_workflows": open_ones, "max_open_workflows": settings.MAX_OPEN_WORKFLOWS},
            retry_after=10,
        )
    run.save(force_insert=True)
    WorkflowStep.objects.bulk_create(
        [WorkflowStep(workflow=run, name=one.name, index=index) for one in plan for index in range(one.runs)]
    )
    tell(run, "created")
