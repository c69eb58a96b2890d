"""Files that were kept long enough are deleted once a day."""

from datetime import timedelta

from django.db import migrations
from django.utils import timezone

FUNC = "jobs.tasks.expire_files"


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Delete old files",
            func=FUNC,
            schedule_type="D",
            repeats=-1,
            next_run=timezone.now() + timedelta(hours=2),
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0004_assets"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(add_schedule, remove_schedule)]
