"""Uploads that come in pieces; those that are never completed are given up hourly."""

import django.db.models.deletion
from django.db import migrations, models
from django.utils import timezone

FUNC = "jobs.tasks.drop_parts"


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Give up incomplete uploads", func=FUNC, schedule_type="H", repeats=-1, next_run=timezone.now()
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0008_ordered_webhooks"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.CreateModel(
            name="PartialUpload",
            fields=[
                (
                    "asset",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="partial",
                        serialize=False,
                        to="jobs.asset",
                    ),
                ),
                ("length", models.BigIntegerField(help_text="Bytes, as announced.")),
                ("offset", models.BigIntegerField(default=0, help_text="Bytes that are here.")),
                (
                    "metadata",
                    models.CharField(blank=True, help_text="As sent, in the form of the protocol.", max_length=2000),
                ),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.AlterField(
            model_name="asset",
            name="state",
            field=models.CharField(
                choices=[
                    ("partial", "Partial"),
                    ("pending", "Pending"),
                    ("stored", "Stored"),
                    ("failed", "Failed"),
                    ("refused", "Refused"),
                    ("expired", "Expired"),
                ],
                default="pending",
                max_length=7,
            ),
        ),
        migrations.CreateModel(
            name="UploadPart",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("offset", models.BigIntegerField()),
                ("storage_name", models.CharField(max_length=200)),
                (
                    "upload",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="parts", to="jobs.partialupload"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("upload", "offset"), name="one_part_at_an_offset")],
            },
        ),
        migrations.RunPython(add_schedule, remove_schedule),
    ]
