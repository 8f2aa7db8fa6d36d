from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0003_counts"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="imagestate",
            index=models.Index(
                fields=["project", "label", "site", "visit", "sequence", "source", "score"], name="state_results"
            ),
        ),
    ]
