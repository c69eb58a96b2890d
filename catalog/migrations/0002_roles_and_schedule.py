"""The roles of the admin, and the six-hourly sync."""

from datetime import datetime

from croniter import croniter
from django.contrib.auth.management import create_permissions
from django.db import migrations
from django.utils import timezone

EVERY_SIX_HOURS = "0 */6 * * *"

_VIEW = [
    ("catalog", "view_provider"), ("catalog", "view_aimodel"), ("catalog", "view_schemaversion"),
    ("catalog", "view_syncrun"), ("journal", "view_alert"), ("journal", "view_auditevent"),
    ("journal", "view_outboxevent"), ("clients", "view_client"),
]  # fmt: skip
ROLES = {
    "viewer": _VIEW,
    "catalog manager": [
        *_VIEW, ("catalog", "switch_aimodel"), ("catalog", "sync_provider"), ("journal", "change_alert"),
    ],
    "finance": [
        *_VIEW, ("clients", "add_client"), ("clients", "change_client"), ("clients", "view_apikey"),
        ("clients", "add_apikey"), ("clients", "change_apikey"), ("journal", "change_alert"),
    ],
}  # fmt: skip


def add_roles(apps, schema_editor):
    # Permissions are made after all migrations; roles that refer to them need them now.
    for label in ("catalog", "journal", "clients"):
        config = apps.get_app_config(label)
        config.models_module = True
        create_permissions(config, apps=apps, verbosity=0)
        config.models_module = None
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        for label, codename in wanted:
            group.permissions.add(Permission.objects.get(content_type__app_label=label, codename=codename))


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    # Names of schedules are not unique in django-q2: look before adding.
    if not Schedule.objects.filter(func="catalog.tasks.sync_all").exists():
        Schedule.objects.create(
            name="Sync the catalog",
            func="catalog.tasks.sync_all",
            schedule_type="C",
            cron=EVERY_SIX_HOURS,
            repeats=-1,
            # Not at once: whoever installs syncs by hand first.
            next_run=croniter(EVERY_SIX_HOURS, timezone.now()).get_next(datetime),
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func="catalog.tasks.sync_all").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0001_initial"),
        ("journal", "0001_initial"),
        ("clients", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.RunPython(add_roles, migrations.RunPython.noop),
        migrations.RunPython(add_schedule, remove_schedule),
    ]
