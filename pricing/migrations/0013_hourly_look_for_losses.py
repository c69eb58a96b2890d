"""The hourly look for models that are sold below their cost."""

from datetime import timedelta

from django.db import migrations
from django.utils import timezone

FUNC = "pricing.tasks.tell_losses"


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Tell of models sold below cost",
            func=FUNC,
            schedule_type="H",
            repeats=-1,
            next_run=timezone.now() + timedelta(minutes=20),
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0012_stray_requests"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(add_schedule, remove_schedule)]
