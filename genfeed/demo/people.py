"""What people do in the demo: they take clients on, give them keys, money and budgets, set prices, give money back."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from catalog import published
from catalog.availability import switch_models
from catalog.models import AIModel
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.demo.habits import BANANA_2, KLING, SORA, Habit
from genfeed.journal.alerts import acknowledge
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.models import Alert
from jobs.models import Job, Status
from pricing.budgets.setting import Draft as BudgetDraft
from pricing.budgets.setting import add_budget
from pricing.ledger.accounts import account_of, set_terms, top_up
from pricing.ledger.afterwards import charged_for, refund
from pricing.margins.check import Draft as MarginDraft
from pricing.margins.rules import save_rule
from pricing.models import Account
from pricing.money import NANO_PER_USD

ACTOR = Actor("demo")
SCOPES = ("models:read", "estimates", "jobs:write", "jobs:read", "usage:read")
# Prices that do not follow the cost, in nano-USD: when the provider becomes dearer, they stay.
FIXED_PRICES = {BANANA_2: 60_000_000, KLING: 600_000_000}


def take_on(habit: Habit) -> str:
    """A client with its terms, budgets and money; returns the text of its key."""
    # Limits a minute are counted by the database's clock, for which the whole month is two minutes.
    client = Client.objects.create(name=habit.client, jobs_per_minute=100_000, **habit.limits)
    record("client.added", [Change(client)], actor=ACTOR)
    _, key = create_key(client, actor=ACTOR, scopes=SCOPES)
    if habit.credit:
        line = habit.credit * NANO_PER_USD
        set_terms(client.pk, actor=ACTOR, funding=Account.Funding.POSTPAID, credit_line=line)
    set_terms(client.pk, actor=ACTOR, low_balance=habit.balance * NANO_PER_USD // 10)
    top_up(client.pk, habit.balance * NANO_PER_USD, actor=ACTOR, reason="first payment", reference="demo-0")
    for period, limit in habit.budgets.items():
        add_budget(client.pk, BudgetDraft(period, limit * NANO_PER_USD), actor=ACTOR, reason="as agreed")
    return key


def pay_again(habit: Habit, number: int) -> None:
    """Prepaid clients pay when less than a fifth is left; who does not, is refused one day."""
    account = account_of(Client.objects.get(name=habit.client).pk)
    amount = habit.balance * NANO_PER_USD
    if habit.top_up and account.available < amount // 5:
        top_up(account.client_id, amount, actor=ACTOR, reason="payment", reference=f"demo-{number}")


def set_prices() -> None:
    """Fixed prices for two models, and one model that is not for sale."""
    for endpoint_id, price in FIXED_PRICES.items():
        model = _model(endpoint_id)
        draft = MarginDraft(
            scope="model", mode="fixed", fixed_price=price, model_id=model.pk, note="introductory price"
        )
        save_rule(draft, actor=ACTOR, reason="introductory price")
    switch_models([_model(SORA)], on=False, actor=ACTOR, reason="waits for a contract")
    published.forget()


def give_back(clients: Iterable[str], reason: str) -> int:
    """Half of the newest job that each of these clients paid for; how many there were."""
    count = 0
    for name in clients:
        paid = Job.objects.filter(client__name=name, status=Status.SUCCEEDED, charge__gt=0, finished_at__isnull=False)
        if job := paid.first():
            half = int(Decimal(charged_for(job.pk)) / 2)
            refund(job.pk, half, actor=ACTOR, reason=reason, reference=f"demo-ticket-{count + 1}")
            count += 1
    return count


def read_alerts() -> None:
    """What only tells something is acknowledged; what needs a decision stays open."""
    told = Alert.objects.filter(code__in=("operator_loss", "budget_threshold"), acknowledged_at=None, resolved_at=None)
    for alert in told:
        acknowledge(alert, actor=ACTOR)


def missing_models(wanted: Iterable[str]) -> list[str]:
    """Which of these models are not on sale here."""
    names = set(wanted)
    return sorted(
        names - set(AIModel.objects.filter(endpoint_id__in=names, enabled=True).values_list("endpoint_id", flat=True))
    )


def _model(endpoint_id: str) -> AIModel:
    return AIModel.objects.get(provider__slug="fal", endpoint_id=endpoint_id)
