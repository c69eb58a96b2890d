"""Which fields of an input are sealed is told by the job, and no longer by what the fields hold."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0019_browser_token_limits")]

    operations = [
        migrations.AlterField(
            model_name="job",
            name="input",
            field=models.JSONField(help_text="As it is sent to the provider, but for what is sealed."),
        ),
        migrations.AddField(
            model_name="job",
            name="secret_fields",
            field=models.JSONField(blank=True, default=list, help_text="The fields of the input that are sealed."),
        ),
    ]
