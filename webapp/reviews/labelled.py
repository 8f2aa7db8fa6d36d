"""The labelled and the unlabelled images of a project as arrays, for the analyses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from webapp.images.models import ImageState
from webapp.projects.models import Label, Project

READ = 10_000
ReviewState = ImageState.ReviewState
REAL_KINDS = (Label.Kind.NORMAL, Label.Kind.BACKGROUND)
"""Labels that say what is in a picture; unknown and ignored ones say that nobody knows or cares."""


@dataclass(frozen=True)
class Labelled:
    """Images that people or an import gave a label, by id. `group` holds images that say no more than one of them."""

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    sites: NDArray[np.int64]
    groups: NDArray[np.int64]


def labelled(project: Project) -> Labelled:
    """Groups are near-duplicate clusters, else sequences, else the image alone (as a negative id for sequences)."""
    rows = states(project).filter(review_state=ReviewState.REVIEWED, label__kind__in=REAL_KINDS)
    made = _array(rows, "label_id", "site_id", "sequence_id", "image__near_duplicate__cluster")
    groups = np.where(made[:, 4] > 0, made[:, 4], np.where(made[:, 3] > 0, -made[:, 3], made[:, 0]))
    return Labelled(made[:, 0], made[:, 1], made[:, 2], groups)


def unlabelled(project: Project) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Images nobody has looked at yet, and what the machine calls them (0: nothing)."""
    rows = states(project).filter(review_state=ReviewState.UNREVIEWED, failure="")
    made = _array(rows, "machine_label_id")
    return made[:, 0], made[:, 1]


def states(project: Project) -> QuerySet[ImageState]:
    return ImageState.objects.filter(project=project, image__withdrawn_at=None).order_by("pk")


def _array(rows: QuerySet[ImageState], *columns: str) -> NDArray[np.int64]:
    """Whole numbers, nothing as 0, one row an image; read in chunks."""
    found: Any = rows.values_list("pk", *columns).iterator(chunk_size=READ)
    kind = np.dtype((np.int64, (len(columns) + 1,)))
    return np.fromiter((tuple(value or 0 for value in row) for row in found), dtype=kind)
