"""Every five minutes the worker brings the sums that reports read up to date."""

from django.db import migrations
from django.utils import timezone

FUNC = "pricing.tasks.roll_up_usage"


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Roll up usage for reports",
            func=FUNC,
            schedule_type="I",
            minutes=5,
            repeats=-1,
            next_run=timezone.now(),
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0014_report_rollups"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(add_schedule, remove_schedule)]
