"""Alerts are sent to staff every minute; what happened before is not news."""

from django.db import migrations
from django.db.models import F
from django.utils import timezone

FUNC = "genfeed.journal.tasks.tell_staff"


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Send alerts to staff", func=FUNC, schedule_type="I", minutes=1, repeats=-1, next_run=timezone.now()
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


def count_as_told(apps, schema_editor):
    apps.get_model("journal", "Alert").objects.update(mailed_times=F("times"), posted_times=F("times"))


class Migration(migrations.Migration):
    dependencies = [
        ("journal", "0003_alerts_resolved"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.RunPython(add_schedule, remove_schedule),
        migrations.RunPython(count_as_told, migrations.RunPython.noop),
    ]
