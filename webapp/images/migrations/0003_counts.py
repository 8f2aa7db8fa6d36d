from django.db import migrations, models

COUNT_WHAT_IS_THERE = """
INSERT INTO images_facetcount (project_id, facet, value, count)
SELECT project_id, 'time', '', COUNT(*) FROM images_imagestate WHERE captured_at_utc IS NULL GROUP BY project_id
"""
COUNT_WHAT_IS_LEFT = """
INSERT INTO images_facetcount (project_id, facet, value, count)
SELECT project_id, 'left', COALESCE(CAST(site_id AS VARCHAR(20)), ''), COUNT(*)
FROM images_imagestate WHERE review_state = 'unreviewed' GROUP BY project_id, site_id
"""
FORGET = "DELETE FROM images_facetcount WHERE facet = '%s'"


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0002_curation"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="image",
            index=models.Index(
                condition=models.Q(("latitude__isnull", False), ("site", None), ("withdrawn_at", None)),
                fields=["project"],
                name="image_to_place",
            ),
        ),
        migrations.AddIndex(
            model_name="imagestate",
            index=models.Index(fields=["visit", "captured_at_utc"], name="state_by_visit_and_time"),
        ),
        migrations.RunSQL(COUNT_WHAT_IS_THERE, reverse_sql=FORGET % "time"),
        migrations.RunSQL(COUNT_WHAT_IS_LEFT, reverse_sql=FORGET % "left"),
    ]
