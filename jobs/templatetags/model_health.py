"""The health of a model, for its page."""

from __future__ import annotations

from django import template

from catalog.models import AIModel
from jobs.model_health import Health
from jobs.model_health import health_of as found_of

register = template.Library()


@register.simple_tag
def health_of(row: AIModel) -> Health:
    """How the model is at this moment."""
    return found_of(row)
