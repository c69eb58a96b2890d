"""A review is remembered apart from the reason that holds a model now."""

from django.db import migrations, models


def remember_reviews(apps, schema_editor):
    apps.get_model("catalog", "AIModel").objects.filter(held_reason="review").update(awaits_review=True)


class Migration(migrations.Migration):
    dependencies = [("catalog", "0002_roles_and_schedule")]

    operations = [
        migrations.AddField(
            model_name="aimodel",
            name="awaits_review",
            field=models.BooleanField(default=False, help_text="New under CATALOG_REVIEW_NEW; nobody has decided yet."),
        ),
        migrations.RunPython(remember_reviews, migrations.RunPython.noop),
    ]
