from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("datasets", "0002_curation"),
    ]

    operations = [
        migrations.AddField(
            model_name="snapshot",
            name="since",
            field=models.JSONField(blank=True, default=dict, help_text="What has become of a large one since"),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="since_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="since_asked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
