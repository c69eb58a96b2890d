"""Usage and statements as JSON and as CSV; amounts as exact decimal strings in USD."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from genfeed.journal.times import rfc3339
from pricing.money import format_usd
from pricing.usage.statements import Statement
from pricing.usage.summary import Group, Sums
from pricing.usage.tables import as_csv

_COUNTS = ("jobs", "succeeded", "failed", "canceled")


def usage_line(sums: Sums, of: dict[str, Any], *, with_costs: bool) -> dict[str, Any]:
    """One line: what it is of, its jobs and amounts; costs only for those who may see them."""
    shown = of | {name: getattr(sums, name) for name in _COUNTS} | {"charge": format_usd(sums.charge)}
    return shown | {"cost": format_usd(sums.cost)} if with_costs else shown


def usage_csv(groups: Iterable[Group], columns: list[str], *, with_costs: bool) -> str:
    """The lines as a table, the amounts in USD."""
    header = [*columns, *_COUNTS, "charge_usd", *(["cost_usd"] if with_costs else [])]
    lines = (usage_line(group.sums, group.of, with_costs=with_costs) for group in groups)
    return as_csv(header, ([line.get(name.removesuffix("_usd")) for name in header] for line in lines))


def statement_json(statement: Statement) -> dict[str, Any]:
    """The statement as the API shows it."""
    return {
        "month": statement.month,
        "client": statement.client.name,
        "timezone": statement.client.timezone,
        "currency": "USD",
        "starts_at": rfc3339(statement.starts_at),
        "ends_at": rfc3339(statement.ends_at),
        "is_final": statement.is_final,
        **{name: format_usd(amount) for name, amount in balances_of(statement)},
        "funding": [
            {
                "at": rfc3339(line.at),
                "kind": line.kind,
                "amount": format_usd(line.amount),
                "reference": line.reference,
            }
            for line in statement.funding
        ],
        "models": [
            {
                "model": line.model,
                "provider": line.provider,
                "jobs": line.jobs,
                "charges": format_usd(line.charges),
                "corrections": format_usd(line.corrections),
                "refunds": format_usd(line.refunds),
                "total": format_usd(line.total),
            }
            for line in statement.models
        ],
    }


def balances_of(statement: Statement) -> list[tuple[str, int]]:
    """The sums of a statement in their order, from the opening to the closing balance, in nano-USD."""
    return [
        ("opening_balance", statement.opening),
        ("top_ups", statement.funded("top_up")),
        ("balance_corrections", statement.funded("correction")),
        ("write_offs", statement.funded("write_off")),
        ("charges", statement.charges),
        ("corrections", statement.corrections),
        ("refunds", statement.refunds),
        ("closing_balance", statement.closing),
    ]


def statement_csv(statement: Statement) -> str:
    """The statement as one table: the sums, the movements of funding, and a line a model."""
    sums = [("sum", name, "", "", format_usd(amount)) for name, amount in balances_of(statement)]
    funding = [
        ("funding", line.kind, line.reference, rfc3339(line.at), format_usd(line.amount)) for line in statement.funding
    ]
    models = [
        (kind, line.model, line.provider, line.jobs, format_usd(amount))
        for line in statement.models
        for kind, amount in (("charges", line.charges), ("corrections", line.corrections), ("refunds", line.refunds))
    ]
    return as_csv(("what", "name", "detail", "jobs_or_time", "amount_usd"), [*sums, *funding, *models])
