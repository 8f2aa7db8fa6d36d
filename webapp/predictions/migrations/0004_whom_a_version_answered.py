"""The grid asks of one image after the other whether a version answered it: SQLite read all that the version had."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("predictions", "0003_beside"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="prediction", name="prediction_by_pipeline"),
        migrations.AddIndex(
            model_name="prediction",
            index=models.Index(fields=["pipeline", "state", "image"], name="prediction_by_pipeline"),
        ),
    ]
