from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("predictions", "0002_curation"),
    ]

    operations = [
        migrations.AddField(
            model_name="prediction",
            name="milliseconds",
            field=models.FloatField(blank=True, help_text="In the networks, of its share of the batch", null=True),
        ),
    ]
