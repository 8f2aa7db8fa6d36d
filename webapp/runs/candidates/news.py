"""What has come in since: the reviews and snapshots that a plan waits for."""

from __future__ import annotations

from webapp.datasets.freeze import newest_snapshot
from webapp.projects.models import Project
from webapp.reviews.models import Review

BY_PEOPLE = (Review.How.BLIND, Review.How.SUGGESTED, Review.How.BULK)


def newest_review(project: Project) -> int:
    """Its row number; 0 where there is none."""
    rows = Review.objects.filter(image__project=project).order_by("-pk")
    return rows.values_list("pk", flat=True).first() or 0


def reviews_since(project: Project, number: int) -> int:
    """Verdicts that people gave after row `number`; imports and rules do not count, nor what was taken back."""
    rows = Review.objects.filter(pk__gt=number, image__project=project, how__in=BY_PEOPLE)
    return rows.exclude(verdict=Review.Verdict.WITHDRAWN).count()


def has_news(project: Project, number: int) -> bool:
    """Whether anybody or anything said something of an image after row `number`."""
    return Review.objects.filter(pk__gt=number, image__project=project).exists()


def newest_snapshot_id(project: Project) -> int:
    newest = newest_snapshot(project)
    return newest.pk if newest is not None else 0
