"""The daily look for keys that should be rotated."""

from datetime import timedelta

from django.db import migrations
from django.utils import timezone

FUNC = "genfeed.clients.tasks.remind_of_rotation"


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Remind of keys to rotate",
            func=FUNC,
            schedule_type="D",
            repeats=-1,
            next_run=timezone.now() + timedelta(hours=2),
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0002_terms_and_limits"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(add_schedule, remove_schedule)]
