"""The run: days go by, clients come, the dispatcher works, people react; then the books are brought up to date."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx
from django.core.handlers.wsgi import WSGIHandler

from catalog import published, sync_runs
from catalog.models import SyncRun
from genfeed.demo import habits, people
from genfeed.demo.clock import Clock
from genfeed.demo.habits import HABITS, PIKA, SORA, UNPRICED, Visit
from genfeed.demo.provider import Provider
from genfeed.sync import sync_everything
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import OPEN, Job
from pricing.models import Recommendation
from pricing.reconciling.reconcile import reconcile
from pricing.reports import refusals, rollups
from pricing.reports.recommendations import dismiss, recommend

Say = Callable[[str], None]
# The provider becomes dearer after so many days of the month.
_DEARER_ON_DAY = 6
_DEARER = {habits.BANANA_2: 0.69, habits.KLING: 0.7}
_RUNS_OUT = {"status": 503, "error_type": "runner_disconnected"}
_REFUSES = {"status": 422, "type": "content_policy_violation"}


class DemoError(Exception):
    """Why the demo can't go on, in words that say what to do."""


@dataclass
class Month:
    """One run of the demo. `seed` makes the same calendar again."""

    clock: Clock
    provider: Provider
    say: Say
    days: int = 30
    # Quieter days before, so that the month can be compared with something.
    quiet_days: int = 14
    seed: int = 1
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    # Of each client, and what the provider charges once it becomes dearer; empty where the catalog was known before.
    _api: dict[str, httpx.Client] = field(init=False, default_factory=dict)
    _prices: dict[str, float] = field(init=False, default_factory=dict)

    def run(self) -> None:
        """All of it. Raises DemoError; what was done until then stays."""
        self._dice = random.Random(self.seed)  # noqa: S311 - a calendar, no secret
        self._dispatcher = Dispatcher(threads=8)
        now = self.clock.now
        first = now.date() - timedelta(days=self.days - 1 + self.quiet_days)
        self._busy_from = now.date() - timedelta(days=self.days - 1)
        try:
            self._begin(first)
            day = None
            for visit in habits.calendar(first, self._busy_from, now - timedelta(minutes=10), self._dice):
                if visit.at.date() != day:
                    day = visit.at.date()
                    self._morning(day)
                self._serve(visit)
            self._end()
        finally:
            self._dispatcher.drain()

    def _begin(self, first: date) -> None:
        self.clock.go_to(datetime.combine(first, time(0, 1), UTC))
        if not SyncRun.objects.filter(status=SyncRun.Status.SUCCEEDED).exists():
            self.say("Discovering the sandbox's catalog …")
            self._prices = {model: self.provider.price(model) for model in _DEARER}
            for model, share in _DEARER.items():
                self.provider.reprice(model, self._prices[model] * share)
            self._sync()
        if missing := people.missing_models(habits.models()):
            raise DemoError(
                f"The catalog of this database does not sell {', '.join(missing[:3])}, which the demo's clients want. "
                "Start with a fresh database: GENFEED_VAR_DIR=var/demo names an empty folder."
            )
        people.set_prices()
        transport = httpx.WSGITransport(app=WSGIHandler())
        for habit in HABITS:
            key = people.take_on(habit)
            self._api[habit.client] = httpx.Client(
                transport=transport,
                base_url="http://localhost",
                headers={"Authorization": f"Bearer {key}"},
            )
        self.say(f"{len(HABITS)} demo clients have keys, money and budgets. {first:%d %B} begins.")

    def _morning(self, day: date) -> None:
        """What people do before the clients come."""
        number = (day - self._busy_from).days
        self.clock.go_to(max(self.clock.now, datetime.combine(day, time(0, 1), UTC)))
        people.read_alerts()
        for habit in HABITS:
            people.pay_again(habit, number + self.quiet_days + 1)
        if number == _DEARER_ON_DAY and self._prices:
            self.say(f"{day:%d %B}: the provider raises the price of {len(_DEARER)} models.")
            for model, price in self._prices.items():
                self.provider.reprice(model, price)
            self._sync()
        if number == self.days - 10:
            self._recommend_and_dismiss()
        if number in (self.days // 2, self.days - 3):
            count = people.give_back(
                [habit.client for habit in self._dice.sample(HABITS, 3)], "the picture was not usable"
            )
            self.say(f"{day:%d %B}: {count} refunds.")
        if day.weekday() == 0 and number >= 0:
            self.say(f"{day:%d %B}: {self.accepted} jobs so far, {self.refused.total()} requests refused.")

    def _serve(self, visit: Visit) -> None:
        """A visit: requests over the API, then the provider's work, then its end."""
        self.clock.go_to(max(visit.at, self.clock.now + timedelta(seconds=2)))
        self.provider.happens(**self._luck(visit))
        for given in visit.inputs:
            self._ask(visit, visit.model, given)
            self.clock.skip(self._dice.uniform(0.2, 2.0))
        if self._dice.random() < 0.06:
            self._ask(visit, self._dice.choice((SORA, SORA, UNPRICED)), {"prompt": "a kite over the dunes"})
        self._dispatcher.until_quiet()
        # A client with one place in flight has its jobs run one after the other.
        for _ in visit.inputs:
            if not Job.objects.filter(status__in=OPEN).exists():
                break
            self.clock.skip(visit.seconds)
            self._dispatcher.until_quiet()

    def _ask(self, visit: Visit, model: str, given: dict[str, Any]) -> None:
        api = self._api[visit.habit.client]
        wanted = {"model": model, "input": given, "metadata": {"demo": True}}
        if visit.habit.max_price:
            wanted["max_price"] = visit.habit.max_price
        answer = api.post("/api/v1/jobs", json=wanted)
        if answer.status_code == 201:
            self.accepted += 1
            if self._dice.random() < 0.01:
                api.post(f"/api/v1/jobs/{answer.json()['id']}/cancel")
        elif answer.status_code >= 500:
            raise DemoError(f"A request failed: {answer.status_code} {answer.text}")
        else:
            self.refused[answer.json()["code"]] += 1

    def _luck(self, visit: Visit) -> dict[str, Any]:
        """What happens to the requests of a visit at the provider; mostly nothing."""
        throw = self._dice.random()
        if visit.model == PIKA and throw < 0.45:
            return {"error": _RUNS_OUT}
        if throw < 0.02:
            return {"error": _REFUSES}
        if throw < 0.035:
            return {"error": _RUNS_OUT}
        if throw < 0.04 and visit.model not in people.FIXED_PRICES:
            # So many units that nobody believes it: a person decides about the bill. Two in a row stop the model.
            return {"units_times": 20, "times": 1}
        if throw < 0.10:
            return {"discount_percent": 5}
        if throw < 0.14:
            return {"correction": {"after": 0, "times": 0.85}}
        if throw < 0.145:
            return {"correction": {"after": 0, "times": 1.2}}
        return {}

    def _recommend_and_dismiss(self) -> None:
        rollups.roll_up()
        refusals.flush()
        recommend()
        kind, state = Recommendation.Kind.RAISE_LIMIT, Recommendation.State.OPEN
        if one := Recommendation.objects.filter(kind=kind, state=state).first():
            dismiss(one.pk, actor=people.ACTOR, reason="it is on the small plan")
            self.say(f"Dismissed: {one.title}.")

    def _sync(self) -> None:
        provider = sync_runs.ensure_providers()["fal"]
        run, _ = sync_runs.request_run(provider, trigger="command", full=False)
        run = sync_everything(run)
        published.forget()
        if run.status != SyncRun.Status.SUCCEEDED:
            raise DemoError(f"The sync with the sandbox failed: {run.error}")

    def _end(self) -> None:
        """Everything that is left comes to its end, and the books are brought up to date, at the true time."""
        self.clock.be_right()
        self._dispatcher.until_quiet()
        if left := Job.objects.filter(status__in=OPEN).count():
            raise DemoError(f"{left} jobs did not end. Is another dispatcher at work on this database? Stop it.")
        self.say("Reading the provider's bills …")
        self._sync()
        reconcile("fal")
        refusals.flush()
        self.say(f"Making reports of {rollups.roll_up()} days …")
        self.say(f"{recommend()} recommendations wait for a decision.")
