"""Models that are added by hand: whom they are offered to, what is called, what is always sent; and who may add them."""

import django.db.models.deletion
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def extend_roles(apps, schema_editor):
    config = apps.get_app_config("catalog")
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    wanted = ["add_aimodel", "change_aimodel", "delete_aimodel"]
    permissions = Permission.objects.filter(content_type__app_label="catalog", codename__in=wanted)
    for group in Group.objects.filter(name="catalog manager"):
        group.permissions.add(*permissions)


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0007_upstreams"),
        ("clients", "0009_own_provider_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="aimodel",
            name="client",
            field=models.ForeignKey(
                help_text="Whom alone it is offered; empty: all.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="clients.client",
            ),
        ),
        migrations.AddField(
            model_name="aimodel",
            name="fixed_input",
            field=models.JSONField(default=dict, help_text="Inputs that are always sent, and can't be sent otherwise."),
        ),
        migrations.AddField(
            model_name="aimodel",
            name="runs_as",
            field=models.CharField(
                blank=True, help_text="The provider's id of what is called; empty: its own id.", max_length=255
            ),
        ),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
