"""Admin actions that set the quality tier of models."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from catalog.models import AIModel
from genfeed.journal.audit import Actor
from pricing.choosing.quality import TIERS
from pricing.choosing.stated_quality import set_quality
from pricing.models import ModelPricing

Action = Callable[[admin.ModelAdmin, HttpRequest, QuerySet[ModelPricing]], None]


def _action(tier: str) -> Action:
    words = f"Quality: {tier}" if tier else "Quality: derive it"

    @admin.action(description=words, permissions=["quality"])
    def act(page: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[ModelPricing]) -> None:
        models = AIModel.objects.filter(pk__in=queryset.values("model"))
        changed = set_quality(models, tier, actor=Actor.of(request.user))
        page.message_user(request, f"{changed} changed.", messages.SUCCESS)

    act.__name__ = f"quality_{tier or 'derived'}"
    return act


QUALITY_ACTIONS = [_action(tier) for tier in ("", *TIERS)]
