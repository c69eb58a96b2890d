"""The history of selling prices, what offers are made from, and the clock of margin rules."""

import django.db.models.deletion
import django.utils.timezone
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def add_schedule(apps, schema_editor):
    Schedule = apps.get_model("django_q", "Schedule")
    # Names of schedules are not unique in django-q2: look before adding.
    if not Schedule.objects.filter(func="pricing.margin_rules.apply_clock").exists():
        Schedule.objects.create(
            name="Start and end margin rules",
            func="pricing.margin_rules.apply_clock",
            # Every minute of every day: successes would push all other results out of the task list.
            kwargs="q_options={'save': False}",
            schedule_type="I",
            minutes=1,
            repeats=-1,
        )


def remove_schedule(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(func="pricing.margin_rules.apply_clock").delete()


def let_roles_look(apps, schema_editor):
    # Permissions are made after all migrations; roles that refer to them need them now.
    config = apps.get_app_config("pricing")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    view = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="pricing", codename="view_sellingprice"
    )
    for name in ("viewer", "catalog manager", "finance"):
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        group.permissions.add(*view)


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0003_prices"),
        ("pricing", "0003_existing_collection"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.CreateModel(
            name="MarginClock",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("applied_until", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "mode",
                    models.CharField(
                        blank=True, help_text="GENFEED_MODE of the prices that are published.", max_length=5
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="modelpricing",
            name="standing",
            field=models.JSONField(default=dict),
        ),
        migrations.CreateModel(
            name="SellingPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("effective_from", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "price",
                    models.JSONField(help_text="As the catalog showed it: amount, unit, currency, state, varies."),
                ),
                (
                    "unit_cost",
                    models.CharField(
                        blank=True, help_text="USD, what one unit cost us; empty: unknown.", max_length=60
                    ),
                ),
                (
                    "default_cost",
                    models.BigIntegerField(help_text="nano-USD, what a default request cost us.", null=True),
                ),
                ("reason", models.CharField(blank=True, max_length=200)),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="selling_prices", to="catalog.aimodel"
                    ),
                ),
            ],
            options={
                "ordering": ["-effective_from", "-pk"],
                "indexes": [models.Index(fields=["model", "effective_from"], name="pricing_sel_model_i_ccdb51_idx")],
            },
        ),
        migrations.RunPython(add_schedule, remove_schedule),
        migrations.RunPython(let_roles_look, migrations.RunPython.noop),
    ]
