"""The runs of a calibration, for its page."""

from __future__ import annotations

from typing import Any

from django import template

from jobs import calibrating
from jobs.models import Job
from pricing.models import Calibration

register = template.Library()


@register.simple_tag
def jobs_of(row: Calibration) -> list[Job]:
    """The jobs of a calibration, oldest first."""
    return calibrating.jobs_of(row)


@register.simple_tag
def waiting_inputs(row: Calibration) -> list[dict[str, Any]]:
    """What a start would run."""
    return calibrating.waiting_inputs(row)
