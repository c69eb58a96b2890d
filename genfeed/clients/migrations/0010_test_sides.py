import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clients", "0009_own_provider_keys")]

    operations = [
        migrations.AddField(
            model_name="client",
            name="test_of",
            field=models.OneToOneField(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="test_side",
                to="clients.client",
            ),
        ),
    ]
