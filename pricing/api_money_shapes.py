"""The shapes of balance, budgets, usage and statements, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from catalog.api_shapes import ErrorShape
from pricing.budgets.setting import MOST_OWN
from pricing.models.budgets import THRESHOLDS

Usd = Annotated[str, Field(description="USD as an exact decimal string.")]
Period = Literal["day", "month", "total"]
ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)


class BalanceShape(Schema):
    currency: Literal["USD"]
    available: Usd = Field(description="What new jobs can use, without the credit line; below 0: what is owed.")
    held: Usd = Field(description="Reserved for jobs whose outcome is not known yet.")
    spent: Usd = Field(description="Charged so far, with corrections and refunds.")
    funded: Usd = Field(description="Paid in so far: available + held + spent, always.")
    credit_line: Usd = Field(description="How far below 0 `available` may fall.")
    usable: Usd = Field(description="available + credit_line, at least 0: a job that needs more reserved is refused.")
    enforced: bool = Field(description="False in core mode and for test keys: no job is refused for want of balance.")
    open_jobs: int = Field(description="Jobs that money is held for.")
    funding: Literal["prepaid", "postpaid"]
    billing: Literal["metered", "quoted"] = Field(
        description="metered: the charge follows the provider's bill; quoted: it is the quote."
    )
    low_balance: str | None = Field(description="A notice is sent when `available` falls below this; null: none is.")


class BudgetShape(Schema):
    id: int
    period: Period
    limit: Usd
    spent: Usd
    reserved: Usd = Field(description="By jobs that run now.")
    left: Usd
    resets_at: datetime | None = Field(description="When it begins anew, by the client's clock; null: never.")
    key: str | None = Field(description="key_…: only what this key spends; null: all keys.")
    model: str | None = Field(description="Only jobs of this model; null: of all.")
    provider: str | None
    category: str | None = Field(description="Only jobs of models of this category; null: of all.")
    hard: bool = Field(description="Requests over it are refused; else it only tells.")
    thresholds: list[int] = Field(description="Percent of the limit at which notices are sent.")
    origin: Literal["operator", "client"] = Field(description="The operator's can't be changed here.")


class BudgetList(Schema):
    currency: Literal["USD"]
    timezone: str = Field(description="The clock by which days and months begin.")
    items: list[BudgetShape]


class BudgetBody(Schema):
    """One budget as you want it."""

    model_config = ConfigDict(extra="forbid")
    period: Period
    # Read by our own reader of numbers, which is exact and knows what is none.
    limit: Any = Field(
        description='USD, e.g. "25.50".', json_schema_extra={"anyOf": [{"type": "string"}, {"type": "number"}]}
    )
    key: str | None = Field(None, max_length=100, description="The id or prefix of a key of yours.")
    model: str | None = Field(None, max_length=300, description="A model id, bare or provider:id.")
    category: str | None = Field(None, max_length=80)
    hard: bool = True
    thresholds: list[int] = Field(default_factory=lambda: list(THRESHOLDS), max_length=10)


class BudgetsBody(Schema):
    """All your own budgets; those that are not in it end."""

    model_config = ConfigDict(extra="forbid")
    budgets: list[BudgetBody] = Field(max_length=MOST_OWN)


class UsageLine(Schema):
    """One line; of what it is stands in the fields that were grouped by."""

    day: str | None = None
    month: str | None = None
    model: str | None = None
    provider: str | None = None
    category: str | None = None
    key: str | None = None
    key_prefix: str | None = None
    key_name: str | None = None
    client: str | None = None
    outcome: str | None = None
    jobs: int
    succeeded: int
    failed: int
    canceled: int
    charge: Usd = Field(description="With what bills and refunds changed later, on the day of the job.")
    cost: str | None = Field(None, description="What the provider is owed; only for the scope admin and in core mode.")


class UsageShape(Schema):
    livemode: bool = Field(description="false: of test jobs, which are charged nothing.")
    from_: str = Field(alias="from")
    to: str
    timezone: str
    currency: Literal["USD"]
    group_by: list[str]
    items: list[UsageLine]
    total: UsageLine = Field(description="Over all pages.")
    next_cursor: str | None


class UsageFilters(Schema):
    from_: str | None = Field(None, alias="from", max_length=10, description="First day, 2026-11-01; default: 30 days.")
    to: str | None = Field(None, max_length=10, description="Last day, included; default: today.")
    group_by: str = Field(
        "day", max_length=100, description="day, month, model, category, key, outcome; up to three, by commas."
    )
    timezone: str | None = Field(None, max_length=64, description="IANA name; default: the client's own.")
    format: Literal["json", "csv"] | None = Field(None, description="Instead of the header Accept.")
    client: str | None = Field(None, max_length=200, description="For the scope admin: a client's name, or * for all.")
    limit: int = Field(100, ge=1, le=1000)
    cursor: str | None = Field(None, max_length=200, description="next_cursor of the page before.")


class FundingShape(Schema):
    at: datetime
    kind: Literal["top_up", "correction", "write_off"]
    amount: Usd
    reference: str


class StatementLine(Schema):
    model: str = Field(description='"other": of jobs that no model is known of.')
    provider: str
    jobs: int
    charges: Usd
    corrections: Usd
    refunds: Usd
    total: Usd = Field(description="charges + corrections − refunds")


class StatementShape(Schema):
    month: str
    client: str
    timezone: str
    currency: Literal["USD"]
    starts_at: datetime
    ends_at: datetime
    is_final: bool = Field(description="false while the month goes on.")
    opening_balance: Usd = Field(description="What was paid in and not charged before the month, held money included.")
    top_ups: Usd
    balance_corrections: Usd
    write_offs: Usd
    charges: Usd
    corrections: Usd = Field(description="What bills that came late changed of charges.")
    refunds: Usd
    closing_balance: Usd = Field(
        description="opening_balance + top_ups + balance_corrections + write_offs − charges − corrections + refunds"
    )
    funding: list[FundingShape]
    models: list[StatementLine]


class StatementFilters(Schema):
    format: Literal["json", "csv", "html"] | None = Field(None, description="Instead of the header Accept.")
