"""The steps of an analysis. Imports numpy: for workers and commands, never for the web process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Any

from webapp.predictions.models import Prediction
from webapp.projects.models import Project
from webapp.reviews import health, vectors
from webapp.reviews.cold_start import find_groups
from webapp.reviews.duplicates import find_clusters
from webapp.reviews.models import Analysis
from webapp.reviews.novelty import find_novel
from webapp.reviews.suspects import find_disagreeing, find_suspects

LARGE = 200_000
Step = tuple[str, Callable[[], dict[str, Any]]]


def steps_of(project: Project) -> list[Step]:
    """What is done, in order, in words, each giving its part of the report."""

    @cache
    def embedded() -> vectors.Vectors | None:
        return vectors.load(project)

    return [
        ("looking at what waits", lambda: {"waiting": _waiting(project)}),
        ("near-duplicates", lambda: {"near_duplicates": _clusters(project)}),
        ("suspect labels", lambda: {"suspect_labels": find_suspects(project, embedded())}),
        ("near-duplicates that disagree", lambda: {"disagreeing": find_disagreeing(project)}),
        ("what looks new", lambda: {"novel": find_novel(project, embedded())}),
        ("clusters to label at once", lambda: {"cold_start": find_groups(project, embedded())}),
        ("counts", lambda: {**health.report(project), "embedded": _embedded(embedded())}),
    ]


def _waiting(project: Project) -> int:
    return Prediction.objects.filter(pipeline__project=project, state__in=["pending", "leased"]).count()


def _embedded(found: vectors.Vectors | None) -> dict[str, Any]:
    return {"images": 0, "space": ""} if found is None else {"images": len(found.ids), "space": found.space}


def _clusters(project: Project) -> dict[str, Any]:
    """A large project is compared whole once; from then on only what came since."""
    last = Analysis.objects.filter(project=project, state=Analysis.State.DONE).order_by("-pk").first()
    compared = last is not None and last.report.get("images", 0) >= LARGE and not last.report.get("waiting")
    return asdict(find_clusters(project, since=last.created_at if compared and last else None))
