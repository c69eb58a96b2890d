"""Two providers that both sell the same task, and the ways in which one of them can't be had."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import AIModel
from catalog.providers import queue
from genfeed.clients.keys import Caller
from jobs.accepting.accept import Wanted
from jobs.fallback.accepting import Alternative, Fallback, accept_with_fallback
from jobs.fallback.attempts import render_attempts
from jobs.models import Job, ProviderGate
from tests.factories import publish_now
from tests.jobs.doubles import Provider, make_caller
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

FIRST, SECOND, THIRD = "fal-ai/flux/dev", "makers/flux-dev", "makers/flux-dev-b"
# Of one image: at 0.025, 0.05 and 0.01 USD.
PRICES = {FIRST: 83_333_333, SECOND: 166_666_667, THIRD: 33_333_333}


@pytest.fixture(autouse=True)
def second_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another provider that can run models, with a key."""
    monkeypatch.setitem(queue._registry, "second", lambda key: Provider())
    monkeypatch.setitem(queue._has_key, "second", lambda: True)
    monkeypatch.setitem(queue._terms, "second", queue.Terms("SECOND_KEY", lambda: 100))


@pytest.fixture(autouse=True)
def sold(db: None, second_provider: None) -> dict[str, AIModel]:
    """A model of the first provider, and two of the second: a dearer one and a cheaper one."""
    return {
        FIRST: make_sold(FIRST, "0.025", outputs=IMAGES_OUT),
        SECOND: make_sold(SECOND, "0.05", outputs=IMAGES_OUT, provider="second"),
        THIRD: make_sold(THIRD, "0.01", outputs=IMAGES_OUT, provider="second"),
    }


def make(*alternatives: Any, caller: Caller | None = None, fallback: Fallback | None = None, **wanted: Any) -> Job:
    """An accepted job of the first model, or of `model`, with alternatives: ids, or `Alternative`s."""
    asked = {"model": FIRST, "input": {"prompt": "a fox"}, **wanted}
    named = [one if isinstance(one, Alternative) else Alternative(one) for one in alternatives]
    return accept_with_fallback(Wanted(**asked), fallback or named, caller or make_caller())


def shut(name: str = "fal") -> None:
    """Nothing goes through a gate for a minute."""
    until = timezone.now() + timedelta(minutes=1)
    ProviderGate.objects.update_or_create(name=name, defaults={"failures": 5, "open_until": until})


def set_model(endpoint_id: str, **columns: Any) -> None:
    """Changes a model's row, for all to see."""
    AIModel.objects.filter(endpoint_id=endpoint_id).update(**columns)
    publish_now()


def tried(job: Job) -> list[tuple[str, str, str | None]]:
    """Each model of a job, what became of it, and the code that says why."""
    return [(one["model"], one["status"], one["code"]) for one in render_attempts(job.fallback)]
