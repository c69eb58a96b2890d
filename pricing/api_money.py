"""A client's money over HTTP: its balance and its budgets."""

from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from catalog.api import find_model
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.models import Client
from genfeed.clients.self_service import find_own_key
from genfeed.journal.times import rfc3339
from pricing import api_money_shapes as shapes
from pricing.budgets.reserving import BudgetStanding, standings_of
from pricing.budgets.setting import BadBudgetError, Draft, replace_own_budgets
from pricing.ledger.balances import balance_of
from pricing.models import Budget
from pricing.money import NotMoney, format_usd, parse_usd

money_router = Router(auth=RequireScope("usage:read"), tags=["Money"])


@money_router.get(
    "/balance",
    response={200: shapes.BalanceShape, **shapes.ERRORS},
    summary="Get the balance",
    operation_id="get_balance",
)
def get_balance(request: HttpRequest) -> HttpResponse:
    """What you can spend now, what running jobs hold, and the terms that you buy on."""
    caller = _identity(request).require_client()
    account = balance_of(caller.client_id)
    amounts = ("available", "held", "spent", "funded", "credit_line")
    shown = {name: format_usd(getattr(account, name)) for name in amounts}
    return _json(
        {
            "currency": "USD",
            **shown,
            "usable": format_usd(max(0, account.available + account.credit_line)),
            "enforced": settings.GENFEED_MODE == "cloud" and not caller.is_test,
            "open_jobs": account.open_holds + account.open_batch_holds,
            "funding": account.funding,
            "billing": account.billing,
            "low_balance": None if account.low_balance is None else format_usd(account.low_balance),
        }
    )


@money_router.get(
    "/budgets", response={200: shapes.BudgetList, **shapes.ERRORS}, summary="List budgets", operation_id="list_budgets"
)
def list_budgets(request: HttpRequest) -> HttpResponse:
    """Your budgets and those that the operator set for you, each with where it stands now."""
    return _budgets(_identity(request).require_client().client_id)


@money_router.put(
    "/budgets",
    auth=RequireScope("budgets"),
    response={200: shapes.BudgetList, **shapes.ERRORS, 409: shapes.ErrorShape},
    summary="Set your own budgets",
    operation_id="replace_budgets",
)
def replace_budgets(request: HttpRequest, body: shapes.BudgetsBody) -> HttpResponse:
    """Replaces your own budgets, all or none; one for the same and the same periods keeps what it has counted."""
    identity = _identity(request)
    client_id = identity.require_client().client_id
    drafts = [_draft(identity, place, item) for place, item in enumerate(body.budgets)]
    try:
        replace_own_budgets(client_id, drafts, actor=identity.actor)
    except BadBudgetError as error:
        raise _refused(error.place, error.field, str(error)) from error
    return _budgets(client_id)


def _draft(identity: Identity, place: int, item: shapes.BudgetBody) -> Draft:
    try:
        limit = parse_usd(item.limit, what="limit")
    except NotMoney as error:
        raise _refused(place, "limit", f"{error}.") from error
    key_id = model_id = None
    try:
        if item.key is not None:
            key_id = find_own_key(identity.require_client(), item.key).pk
        if item.model is not None:
            model_id = find_model(item.model, identity, offered_only=False).pk
    except ApiError as error:
        field = "model" if key_id is not None or item.key is None else "key"
        raise _refused(place, field, error.message, error.hint) from error
    if item.category == "":
        raise _refused(place, "category", "A category has a name.", "Leave it out for all categories.")
    return Draft(item.period, limit, key_id, model_id, item.category or "", item.hard, tuple(item.thresholds))


def _refused(place: int | None, field: str, message: str, hint: str = "") -> ApiError:
    path = field if place is None else f"budgets.{place}.{field}"
    return ApiError(
        "invalid_request",
        f"{path}: {message}",
        hint or "Correct it and send all of them again; nothing was changed.",
        details={"problems": [{"path": path, "message": message}]},
    )


def _budgets(client_id: int) -> HttpResponse:
    client = Client.objects.get(pk=client_id)
    rows = Budget.objects.filter(client=client, is_active=True).select_related("client", "key", "model__provider")
    standings = standings_of(rows.order_by("pk"), now=timezone.now())
    return _json({"currency": "USD", "timezone": client.timezone, "items": [_render(one) for one in standings]})


def _render(standing: BudgetStanding) -> dict[str, Any]:
    budget = standing.budget
    return {
        "id": budget.pk,
        "period": budget.period,
        "limit": format_usd(budget.limit),
        "spent": format_usd(standing.spent),
        "reserved": format_usd(standing.reserved),
        "left": format_usd(standing.left),
        "resets_at": rfc3339(standing.resets_at) if standing.resets_at else None,
        "key": budget.key.public_id if budget.key else None,
        "model": budget.model.endpoint_id if budget.model else None,
        "provider": budget.model.provider.slug if budget.model else None,
        "category": budget.category or None,
        "hard": budget.is_hard,
        "thresholds": budget.thresholds,
        "origin": budget.origin,
    }


def _identity(request: HttpRequest) -> Identity:
    return request.auth  # type: ignore[attr-defined]


def _json(body: Any) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), content_type="application/json")
    response.headers["Cache-Control"] = "private, no-store"
    return response
