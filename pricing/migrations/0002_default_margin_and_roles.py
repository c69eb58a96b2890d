"""The shipped margin (70 % true margin, at least $0.001 a charge), and what the roles may do with prices."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

_VIEW = [
    "view_pricepoint", "view_pricerule", "view_modelpricing", "view_marginrule", "view_existingmodel",
    "view_calibration", "view_usagerecord", "view_providerestimate",
]  # fmt: skip
_DECIDE = ["decide_price", "decide_rule", "add_pricerule", "change_pricerule", "add_calibration", "change_calibration"]
ROLES = {
    "viewer": _VIEW,
    "catalog manager": [*_VIEW, *_DECIDE],
    "finance": [*_VIEW, *_DECIDE, "add_marginrule", "change_marginrule"],
}


def add_default_margin(apps, schema_editor):
    MarginRule = apps.get_model("pricing", "MarginRule")
    if not MarginRule.objects.filter(scope="global").exists():
        MarginRule.objects.create(
            scope="global", mode="margin", rate="0.7", minimum=1_000_000, note="shipped default", created_by="system"
        )


def extend_roles(apps, schema_editor):
    config = apps.get_app_config("pricing")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    for name, wanted in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        permissions = Permission.objects.filter(content_type__app_label="pricing", codename__in=wanted)
        group.permissions.add(*permissions)


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0001_prices"),
        ("catalog", "0003_prices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(add_default_margin, migrations.RunPython.noop),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
