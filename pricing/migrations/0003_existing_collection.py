"""Whether an existing model keeps its price, equivalent models, and who may decide on both."""

import django.db.models.deletion
import django.utils.timezone
from django.contrib.auth.management import create_permissions
from django.db import migrations, models

ROLES = {
    "viewer": ["view_equivalence"],
    "catalog manager": ["view_equivalence", "decide_existing"],
    "finance": ["view_equivalence", "decide_existing"],
}


def extend_roles(apps, schema_editor):
    # Permissions are made after all migrations; roles that refer to them need them now.
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
        ("catalog", "0003_prices"),
        ("pricing", "0002_default_margin_and_roles"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="existingmodel",
            options={
                "ordering": ["provider_name", "legacy_id"],
                "permissions": [
                    ("decide_existing", "Can confirm duplicates and adopt prices of the existing collection")
                ],
            },
        ),
        migrations.AddField(
            model_name="existingmodel",
            name="keeps_price",
            field=models.BooleanField(
                default=True,
                help_text="Its own price stands. Off once the owner has adopted the price that margin rules make.",
            ),
        ),
        migrations.CreateModel(
            name="Equivalence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "score",
                    models.PositiveSmallIntegerField(
                        help_text="0 to 100: how much speaks for it. 100 only by a person."
                    ),
                ),
                ("reason", models.CharField(max_length=300)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("suggested", "suggested, waits for a person"),
                            ("confirmed", "Confirmed"),
                            ("rejected", "not the same"),
                        ],
                        db_index=True,
                        default="suggested",
                        max_length=10,
                    ),
                ),
                ("found_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("decided_by", models.CharField(blank=True, max_length=200)),
                ("decided_at", models.DateTimeField(null=True)),
                (
                    "left",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="catalog.aimodel"
                    ),
                ),
                (
                    "right",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="catalog.aimodel"
                    ),
                ),
            ],
            options={
                "ordering": ["-score", "pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("left", "right"), name="equivalence_is_unique"),
                    models.CheckConstraint(
                        condition=models.Q(("left__lt", models.F("right"))), name="equivalence_is_ordered"
                    ),
                ],
            },
        ),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
