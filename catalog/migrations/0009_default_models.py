import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0008_own_models"),
    ]

    operations = [
        migrations.CreateModel(
            name="DefaultModel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("category", models.CharField(max_length=80, unique=True)),
                (
                    "model",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="default",
                        to="catalog.aimodel",
                    ),
                ),
            ],
            options={
                "ordering": ["category"],
            },
        ),
    ]
