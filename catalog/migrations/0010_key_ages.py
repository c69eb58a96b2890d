"""How long keys at providers are in use, and the daily look at them."""

from datetime import timedelta

from django.db import migrations, models
from django.utils import timezone

FUNC = "catalog.tasks.remind_of_provider_keys"


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Remind of keys at providers",
            func=FUNC,
            schedule_type="D",
            repeats=-1,
            next_run=timezone.now() + timedelta(minutes=10),
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0009_default_models"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeyAge",
            fields=[
                (
                    "name",
                    models.CharField(
                        help_text="The setting that holds it, or whose it is.",
                        max_length=80,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "fingerprint",
                    models.CharField(help_text="A keyed digest; another one is another key.", max_length=24),
                ),
                ("since", models.DateTimeField()),
                ("reminded_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RunPython(add_schedule, remove_schedule),
    ]
