"""Latencies beside what jobs used, and a standing task that asks the provider what calls have cost."""

from datetime import timedelta

from django.db import migrations, models
from django.utils import timezone

FUNC = "pricing.provider_estimates.refresh_some"


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    # Names of schedules are not unique in django-q2: look before adding.
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Ask for past costs",
            func=FUNC,
            # fal refuses the third call within seconds (observed): few at a time, and often.
            args="(2,)",
            schedule_type="I",
            minutes=10,
            repeats=-1,
            next_run=timezone.now() + timedelta(minutes=10),
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0004_selling_prices"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.AddField(
            model_name="usagerecord",
            name="seconds",
            field=models.FloatField(help_text="From submission to result; for latencies, not for money.", null=True),
        ),
        migrations.RunPython(add_schedule, remove_schedule),
    ]
