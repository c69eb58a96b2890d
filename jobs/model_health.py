"""How a model is: offered, understood and priced, whether its provider lets jobs through, and how its own jobs went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from catalog import upstreams
from catalog.models import AIModel
from catalog.reporting import held_words
from jobs.dispatching.standing import Gate, gates
from pricing.usage.recent import Recent, recent

# Fewer jobs than this in an hour say nothing of how often a model fails.
FEWEST = 5


@dataclass(frozen=True, slots=True)
class Health:
    """`gate`: its provider's circuit breaker, None where nothing can be run there. `recent`: its jobs of the last hour
    and day, by name. `problems`: what keeps it from being offered or from succeeding, in words; none: it is well."""

    model: AIModel
    is_online: bool
    gate: Gate | None
    recent: dict[str, Recent]
    problems: tuple[str, ...]


def health_of(model: AIModel, *, now: datetime | None = None) -> Health:
    """The health of one model, as the database knows it at this moment; asks no provider and runs nothing."""
    now = now or timezone.now()
    slug = model.provider.slug
    gate = next((one for one in gates(now=now) if one.provider == slug), None)
    is_online = upstreams.is_online(slug)
    jobs = recent(model.pk, now=now)
    found = [_offered(model), _schema(model), _price(model), _connection(model, is_online)]
    found += [_gate(model, gate), _failing(jobs)]
    return Health(model, is_online, gate, jobs, tuple(words for words in found if words))


def _offered(model: AIModel) -> str:
    if not model.enabled:
        return held_words(model) or "It is switched off."
    return "" if model.status == AIModel.Status.ACTIVE else f"{model.provider.name} calls it {model.status}."


def _schema(model: AIModel) -> str:
    """A newest schema that could not be read, though an older one is in force and the model may be on sale."""
    if model.schema_state not in (AIModel.SchemaState.MISSING, AIModel.SchemaState.NOT_UNDERSTOOD) or not model.enabled:
        return ""
    why = f" ({model.schema_problem})" if model.schema_problem else ""
    return f"Its newest schema is {model.get_schema_state_display()}{why}; version {model.schema_version} is in force."


def _price(model: AIModel) -> str:
    is_missed = settings.GENFEED_MODE == "cloud" and model.enabled and model.price["state"] == "unknown"
    return "Its price is not known." if is_missed else ""


def _connection(model: AIModel, is_online: bool) -> str:
    return "" if is_online else f"{model.provider.name} can't be reached."


def _gate(model: AIModel, gate: Gate | None) -> str:
    if gate is None or gate.state in ("closed", "failing"):
        return ""
    return f"{model.provider.name} takes no jobs at the moment: {gate.reason or 'its circuit breaker is open'}."


def _failing(jobs: dict[str, Recent]) -> str:
    """Too many failures in the last hour, by the share from which a recommendation says so too."""
    hour = jobs["last_hour"]
    ended = hour.succeeded + hour.failed
    if ended < FEWEST or 100 * hour.failed < settings.RECOMMEND_FAILURE_PERCENT * ended:
        return ""
    return f"{hour.failed} of {ended} jobs of the last hour failed."
