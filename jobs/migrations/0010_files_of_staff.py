"""Staff see files, fetch them again and delete them; providers delete what they hold of erased clients."""

import django.db.models.deletion
import django.utils.timezone
from django.contrib.auth.management import create_permissions
from django.db import migrations, models
from django.utils import timezone

FUNC = "jobs.tasks.erase_at_providers"
ROLES = {
    "viewer": ["view_asset"],
    "catalog manager": ["view_asset", "refetch_asset", "expire_asset"],
    "finance": ["view_asset"],
}


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Delete at providers what they hold of erased clients",
            func=FUNC,
            schedule_type="I",
            minutes=10,
            repeats=-1,
            next_run=timezone.now(),
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


def extend_roles(apps, schema_editor):
    config = apps.get_app_config("jobs")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.add(*Permission.objects.filter(content_type__app_label="jobs", codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
        ("jobs", "0009_resumable_uploads"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProviderErasure",
            fields=[
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="jobs.job",
                    ),
                ),
                ("next_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
        ),
        migrations.AlterModelOptions(
            name="asset",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("refetch_asset", "Can have files fetched again"),
                    ("expire_asset", "Can delete files before their time"),
                ],
            },
        ),
        migrations.AddField(
            model_name="asset",
            name="scan_result",
            field=models.CharField(blank=True, help_text="Empty: no scanner has seen it.", max_length=120),
        ),
        migrations.RunPython(add_schedule, remove_schedule),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
