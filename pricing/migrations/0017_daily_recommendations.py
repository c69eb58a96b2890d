"""Recommendations once a day, and who may look at them and let models be switched without a person."""

from datetime import timedelta

from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.utils import timezone

FUNC = "pricing.tasks.recommend"
_VIEW = ["view_recommendation", "view_enablementpolicy"]
ROLES = {"viewer": _VIEW, "catalog manager": _VIEW, "finance": [*_VIEW, "run_policy"]}


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    if not Schedule.objects.filter(func=FUNC).exists():
        Schedule.objects.create(
            name="Make recommendations",
            func=FUNC,
            schedule_type="D",
            repeats=-1,
            next_run=timezone.now() + timedelta(minutes=30),
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func=FUNC).delete()


def extend_roles(apps, schema_editor):
    config = apps.get_app_config("pricing")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.add(*Permission.objects.filter(content_type__app_label="pricing", codename__in=wanted))


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0016_recommendations"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(add_schedule, remove_schedule),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
