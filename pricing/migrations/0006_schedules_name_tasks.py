"""Schedules name the worker's entry points instead of the rooms behind them."""

from django.db import migrations

NAMES = {
    "pricing.margin_rules.apply_clock": "pricing.tasks.apply_margin_clock",
    "pricing.provider_estimates.refresh_some": "pricing.tasks.ask_for_past_costs",
}


def rename(apps, names):
    Schedule = apps.get_model("django_q", "Schedule")
    for old, new in names.items():
        Schedule.objects.filter(func=old).update(func=new)


def forwards(apps, schema_editor):
    rename(apps, NAMES)


def backwards(apps, schema_editor):
    rename(apps, {new: old for old, new in NAMES.items()})


class Migration(migrations.Migration):
    dependencies = [("pricing", "0005_latency_and_past_costs")]

    operations = [migrations.RunPython(forwards, backwards)]
