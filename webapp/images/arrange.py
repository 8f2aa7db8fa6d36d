"""Puts a project's images in order: sites by its rule, times by zones, visits by time, sequences by gaps.

Safe to run at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from webapp.images.finding_sites import place_by_rule
from webapp.images.models import Image
from webapp.images.recount_times import outdated_projects, recount_times
from webapp.images.sequences import make_sequences
from webapp.images.visits import find_visits
from webapp.projects.models import Project

TASK = "webapp.images.tasks.arrange"


@dataclass(frozen=True)
class Arranged:
    """How many images found a site or visit, and how many sequences were made or changed."""

    placed: int
    sequences: int


def arrange(project: Project) -> Arranged:
    """Take in whatever is new. Each step is by itself, so that one cut short is gone on with by the next run."""
    placed = place_by_rule(project)
    recount_times(project)
    placed += find_visits(project)
    return Arranged(placed=placed, sequences=make_sequences(project))


def projects_to_arrange() -> QuerySet[Project]:
    """Projects with images that have a time and no sequence yet, or whose times are counted by another zone."""
    waiting = Image.objects.filter(sequence=None, captured_at_utc__isnull=False, withdrawn_at=None)
    ids = waiting.order_by().values("project_id").distinct()
    return Project.objects.filter(Q(pk__in=ids) | Q(pk__in=outdated_projects().values("pk")))
