"""Random sequences of everything that moves money: M1, M2, M3 and M7 after every step, and a second bookkeeping."""

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import MoneyRefusedError, correct_balance, forgive_debt, set_terms, top_up
from pricing.ledger.afterwards import charged_for, correct, cost_of, refund, write_off
from pricing.ledger.checking import check_ledger
from pricing.ledger.settling import release, settle
from pricing.models import Account, Budget, BudgetPeriod
from tests.examples import examples
from tests.pricing.ledger.books import hold, make_client

# Few different amounts, and close to each other: limits are met exactly, passed by one, and missed by one.
amounts = st.integers(1, 12)
some = st.integers(0, 12)
places = st.integers(0, 30)
clients = iter(range(10**9))


class Books(RuleBasedStateMachine):
    """One client, and what it should have by our own count."""

    def __init__(self) -> None:
        super().__init__()
        self.client = make_client(f"client {next(clients)}", usd=0, low_balance=5)
        self.available = self.held = self.spent = self.funded = self.line = 0
        # job -> its hold; job -> what it was charged; job -> what was given back
        self.open: dict[str, int] = {}
        self.holds: dict[str, int] = {}
        self.charged: dict[str, int] = {}
        self.refunded: dict[str, int] = {}
        self.budgets: list[Budget] = []
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"job_{self.client.pk}_{self.count}"

    def pick(self, among: dict[str, int], place: int) -> str:
        return sorted(among)[place % len(among)]

    @rule(amount=amounts)
    def pay(self, amount: int) -> None:
        top_up(self.client.pk, amount, actor=SYSTEM, reason="paid")
        self.available += amount
        self.funded += amount

    @rule(amount=amounts)
    def pay_twice_by_one_invoice(self, amount: int) -> None:
        reference = self.name()
        top_up(self.client.pk, amount, actor=SYSTEM, reason="paid", reference=reference)
        with pytest.raises(MoneyRefusedError):
            top_up(self.client.pk, amount, actor=SYSTEM, reason="paid", reference=reference)
        self.available += amount
        self.funded += amount

    @rule(amount=amounts)
    def take_out(self, amount: int) -> None:
        if amount > self.available + self.line:
            with pytest.raises(MoneyRefusedError):
                correct_balance(self.client.pk, -amount, actor=SYSTEM, reason="slip")
            return
        correct_balance(self.client.pk, -amount, actor=SYSTEM, reason="slip")
        self.available -= amount
        self.funded -= amount

    @rule(line=some)
    def give_credit(self, line: int) -> None:
        wanted: dict[str, Any] = {"funding": "postpaid" if line else "prepaid", "credit_line": line}
        if self.available < -line:
            with pytest.raises(MoneyRefusedError):
                set_terms(self.client.pk, actor=SYSTEM, reason="agreed", **wanted)
            return
        set_terms(self.client.pk, actor=SYSTEM, reason="agreed", **wanted)
        self.line = line

    @rule()
    def forgive(self) -> None:
        if self.available >= 0:
            with pytest.raises(MoneyRefusedError):
                forgive_debt(self.client.pk, actor=SYSTEM, reason="bankrupt")
            return
        forgive_debt(self.client.pk, actor=SYSTEM, reason="bankrupt")
        self.funded -= self.available
        self.available = 0

    @rule(limit=some, period=st.sampled_from(["day", "month", "total"]), is_hard=st.booleans())
    def add_budget(self, limit: int, period: str, is_hard: bool) -> None:
        if len(self.budgets) < 3:
            self.budgets.append(Budget.objects.create(client=self.client, period=period, limit=limit, is_hard=is_hard))

    @precondition(lambda self: self.budgets)
    @rule(place=places, limit=some, is_hard=st.booleans(), is_active=st.booleans())
    def change_budget(self, place: int, limit: int, is_hard: bool, is_active: bool) -> None:
        budget = self.budgets[place % len(self.budgets)]
        budget.limit, budget.is_hard, budget.is_active = limit, is_hard, is_active
        budget.save()

    @rule(amount=some, most=st.integers(1, 6))
    def reserve(self, amount: int, most: int) -> None:
        job = self.name()
        reasons = self.reasons_against(amount, most)
        if reasons:
            before = self.counted()
            with pytest.raises(ApiError) as caught:
                hold(self.client, job, amount, max_in_flight=most, max_queued=0)
            assert caught.value.code in reasons
            assert self.counted() == before
            return
        hold(self.client, job, amount, max_in_flight=most, max_queued=0)
        self.open[job] = self.holds[job] = amount
        self.available -= amount
        self.held += amount

    def reasons_against(self, amount: int, most: int) -> set[str]:
        """Why a hold must be refused, by our own count."""
        reasons = set()
        if len(self.open) >= most:
            reasons.add("too_many_in_flight")
        if amount > self.available + self.line:
            reasons.add("insufficient_funds")
        for budget in self.budgets:
            used = sum(self.counted().get(budget.pk, (0, 0)))
            if budget.is_active and budget.is_hard and used + amount > budget.limit:
                reasons.add("budget_exceeded")
        return reasons

    def counted(self) -> dict[int, tuple[int, int]]:
        rows = BudgetPeriod.objects.filter(budget__client=self.client)
        return {row.budget_id: (row.reserved, row.spent) for row in rows}

    @precondition(lambda self: self.open)
    @rule(place=places, charge=some, cost=some)
    def end_well(self, place: int, charge: int, cost: int) -> None:
        job = self.pick(self.open, place)
        cost_before = cost_of(job)
        with transaction.atomic():
            ended = settle(job, charge=charge, cost=cost)
        amount = self.open.pop(job)
        paid = min(charge, amount)
        assert ended is not None
        assert (ended.charge, cost_of(job)) == (paid, cost_before + cost)
        self.charged[job], self.refunded[job] = paid, 0
        self.held -= amount
        self.available += amount - paid
        self.spent += paid

    @precondition(lambda self: self.open)
    @rule(place=places, cost=some)
    def end_badly(self, place: int, cost: int) -> None:
        job = self.pick(self.open, place)
        with transaction.atomic():
            release(job, cost=cost)
        amount = self.open.pop(job)
        self.charged[job] = self.refunded[job] = 0
        self.held -= amount
        self.available += amount

    @precondition(lambda self: self.charged)
    @rule(place=places, charge=some, well=st.booleans())
    def end_again(self, place: int, charge: int, well: bool) -> None:
        job = self.pick(self.charged, place)
        with transaction.atomic():
            assert (settle(job, charge=charge, cost=charge) if well else release(job, cost=charge)) is None

    @precondition(lambda self: self.charged)
    @rule(place=places, amount=amounts)
    def give_back(self, place: int, amount: int) -> None:
        job, reference = self.pick(self.charged, place), self.name()
        if amount > self.charged[job] - self.refunded[job]:
            with pytest.raises(MoneyRefusedError):
                refund(job, amount, actor=SYSTEM, reason="sorry", reference=reference)
            return
        for _ in range(2):
            refund(job, amount, actor=SYSTEM, reason="sorry", reference=reference)
        self.refunded[job] += amount
        self.available += amount
        self.spent -= amount

    @precondition(lambda self: self.charged)
    @rule(place=places, charge=some, cost=some)
    def bill(self, place: int, charge: int, cost: int) -> None:
        job, reference = self.pick(self.charged, place), self.name()
        before = self.charged[job]
        most = min(self.holds[job], before + max(0, self.available + self.line))
        due = max(self.refunded[job], min(charge, most))
        if correct(job, charge=charge, cost=cost, reference=reference, reason="the bill"):
            assert correct(job, charge=0, cost=0, reference=reference, reason="the same bill") is None
        assert (charged_for(job), cost_of(job)) == (due - self.refunded[job], cost)
        self.charged[job] = due
        self.available -= due - before
        self.spent += due - before

    @precondition(lambda self: self.holds)
    @rule(place=places, cost=amounts)
    def lose(self, place: int, cost: int) -> None:
        job, reference = self.pick(self.holds, place), self.name()
        before = cost_of(job)
        write_off(job, cost, reference=reference, reason="a stray request")
        assert write_off(job, cost, reference=reference, reason="a stray request") is None
        assert cost_of(job) == before + cost

    @invariant()
    def account_is_what_we_counted(self) -> None:
        row = Account.objects.get(client=self.client)
        counted = (self.available, self.held, self.spent, self.funded, len(self.open))
        assert (row.available, row.held, row.spent, row.funded, row.open_holds) == counted

    @invariant()
    def no_charge_passes_its_hold(self) -> None:
        assert all(0 <= charged <= self.holds[job] for job, charged in self.charged.items())

    @invariant()
    def nothing_stays_reserved_without_an_open_job(self) -> None:
        assert self.open or not any(reserved for reserved, _ in self.counted().values())

    @invariant()
    def the_books_are_proven(self) -> None:
        assert check_ledger() == []


@pytest.mark.django_db
def test_m1_m2_m3_m7_hold_after_every_step_of_any_sequence() -> None:
    how_much = settings(
        max_examples=examples(6), stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Books, settings=how_much)
