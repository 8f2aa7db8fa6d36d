"""Nobody has looked yet: pictures that look alike are put together, so that one key labels many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from webapp.projects.models import Project
from webapp.reviews import findings
from webapp.reviews.labelled import unlabelled
from webapp.reviews.models import Finding
from webapp.reviews.numeric.spaces import cells, reduced
from webapp.reviews.vectors import Vectors

AT_ONCE = 20_000
USUAL_SIZE = 25
SMALLEST, LARGEST = 3, 60
LOOSEST = 0.15
"""This share of a cluster, the least typical of it, is left for later: one key must not label what does not belong."""
Kind = Finding.Kind


def find_groups(project: Project, embedded: Vectors | None) -> dict[str, int]:
    """Replace the clusters of unlabelled images; returns how many clusters and images are open."""
    found: list[Finding] = []
    if embedded is not None:
        ids, _ = unlabelled(project)
        rows = embedded.find(ids)
        there = np.flatnonzero(rows >= 0)
        there = there[:: max(1, -(-len(there) // AT_ONCE))]
        if len(there) >= SMALLEST:
            vectors = reduced(embedded.matrix[rows[there]])
            found = [one for members in groups(vectors) for one in _findings(ids[there], *members)]
    left = findings.replace(project=project, kind=Kind.CLUSTER, found=found)
    return {"clusters": len({one.group for one in found}), "clustered": left}


def groups(vectors: NDArray[np.float32]) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Positions of each group, the most typical first, and how typical each is; 3 to 60 in a group."""
    cell, near = cells(vectors, max(1, round(len(vectors) / USUAL_SIZE)))
    made = []
    for number in range(int(cell.max()) + 1):
        members = np.flatnonzero(cell == number)
        members = members[np.argsort(-near[members], kind="stable")]
        kept = members[: min(LARGEST, len(members) - int(len(members) * LOOSEST))]
        if len(kept) >= SMALLEST:
            made.append((kept, near[kept]))
    return made


def _findings(ids: NDArray[np.int64], members: NDArray[np.int64], near: NDArray[np.float32]) -> list[Finding]:
    """A group is known by its smallest image id; tight groups come first, and all of one group together."""
    own = ids[members]
    name, tightness = int(own.min()), float(near.mean())
    return [
        Finding(
            image_id=int(image_id),
            group=name,
            score=tightness,
            why=f"{len(own)} pictures that look alike: one key labels them all",
            detail={"typical": round(float(typical), 4), "size": len(own)},
        )
        for image_id, typical in zip(own, near, strict=True)
    ]
