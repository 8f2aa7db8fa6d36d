"""Counts the facets of a project anew from the states of its images."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Count

from webapp.images.models import FacetCount, ImageState
from webapp.projects.models import Project

COLUMNS = {
    "label": "label_id",
    "machine": "machine_label_id",
    "review": "review_state",
    "source": "source",
    "failure": "failure",
    "site": "site_id",
    "visit": "visit_id",
}


def true_counts(project: Project) -> dict[tuple[str, str], int]:
    """What the counts should be, by facet and value."""
    states = ImageState.objects.filter(project=project).order_by()
    found = {("all", ""): states.count()}
    for facet, column in COLUMNS.items():
        for row in states.values(column).annotate(n=Count("pk")):
            found[(facet, str(row[column] or ""))] = row["n"]
    found.pop(("failure", ""), None)
    found[("damaged", "1")] = states.filter(damaged=True).count()
    found[("time", "")] = states.filter(captured_at_utc=None).count()
    left = states.filter(review_state=ImageState.ReviewState.UNREVIEWED)
    for site_id, count in left.values_list("site_id").annotate(n=Count("pk")):
        found[("left", str(site_id or ""))] = count
    return {key: count for key, count in found.items() if count}


@transaction.atomic
def recount(project: Project) -> int:
    """Correct the stored counts; returns how many were wrong. Writers of the project wait meanwhile."""
    stored = {
        (row.facet, row.value): row
        for row in FacetCount.objects.select_for_update().filter(project=project).order_by("pk")
    }
    wanted = true_counts(project)
    wrong = {
        key: wanted.get(key, 0)
        for key in wanted.keys() | stored.keys()
        if wanted.get(key, 0) != (stored[key].count if key in stored else 0)
    }
    FacetCount.objects.bulk_create(
        [FacetCount(project=project, facet=facet, value=value, count=n) for (facet, value), n in sorted(wrong.items())],
        update_conflicts=True,
        unique_fields=["project", "facet", "value"],
        update_fields=["count"],
        batch_size=500,
    )
    return len(wrong)
