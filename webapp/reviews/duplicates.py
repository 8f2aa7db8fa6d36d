"""Near-duplicates: pictures that show the same moment or are edits of each other. They never straddle a split.

The rule is in `numeric.near_duplicates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import Count, Min, Q

from webapp.images.models import Image
from webapp.projects.models import Project
from webapp.reviews import greys, vectors
from webapp.reviews.models import NearDuplicate
from webapp.reviews.numeric.joining import Clusters
from webapp.reviews.numeric.near_duplicates import Hashes, pairs_of

FLAT_CONTRAST = 0.03
WRITE = 500
READ = 10_000


@dataclass(frozen=True)
class Found:
    """How many clusters there are, how many images lie in one, and how many rows changed."""

    clusters: int
    images: int
    changed: int


def find_clusters(project: Project, *, since: datetime | None = None) -> Found:
    """Find near-duplicates and bring their rows up to date; with `since`, only pairs with an image measured later.

    Clusters only grow and join: the smaller name wins, so that a name once given to a split stays good.
    """
    known = _read(project, since)
    pairs, by_hash = pairs_of(known, vectors.load(project), greys.load(project))
    return _write(project, known.ids[pairs].tolist(), set(known.ids[pairs[by_hash]].ravel().tolist()))


def _read(project: Project, since: datetime | None) -> Hashes:
    images = (
        Image.objects.filter(project=project, withdrawn_at=None, perceptual_hash__isnull=False)
        .exclude(perceptual_hash=0)
        .filter(Q(contrast=None) | Q(contrast__gte=FLAT_CONTRAST))
        .order_by("pk")
    )
    columns = "pk", "perceptual_hash", "near_duplicate__cluster", "measured_at"
    made = np.fromiter(
        (
            (key, hash_, cluster or 0, since is None or moment is None or moment >= since)
            for key, hash_, cluster, moment in images.values_list(*columns).iterator(chunk_size=READ)
        ),
        dtype=[("id", np.int64), ("hash", np.int64), ("cluster", np.int64), ("new", np.bool_)],
    )
    ids, hashes, clusters, news = (made[name].copy() for name in ("id", "hash", "cluster", "new"))
    return Hashes(ids, hashes, None if since is None else news, clusters)


@transaction.atomic
def _write(project: Project, pairs: Sequence[Sequence[int]], by_hash: set[int]) -> Found:
    """Join the pairs to what is known already; one writer at a time, so that two do not name one cluster twice."""
    Project.objects.select_for_update().get(pk=project.pk)
    known = dict(NearDuplicate.objects.filter(project=project).values_list("image_id", "cluster"))
    clusters = Clusters(known)
    clusters.join_all((one, other) for one, other in pairs)
    names = clusters.names()
    there = {image_id for pair in pairs for image_id in pair} | set(known)
    changed = [image_id for image_id in there if known.get(image_id) != names[image_id]]
    rows = [
        NearDuplicate(
            image_id=image_id,
            project=project,
            cluster=names[image_id],
            how="hash" if image_id in by_hash else "embedding",
        )
        for image_id in sorted(changed)
    ]
    NearDuplicate.objects.bulk_create(
        rows, batch_size=WRITE, update_conflicts=True, unique_fields=["image"], update_fields=["cluster"]
    )
    return Found(*count(project), changed=len(rows))


def count(project: Project) -> tuple[int, int]:
    """Clusters of at least two images that are not withdrawn, and how many images lie in them."""
    rows = NearDuplicate.objects.filter(project=project, image__withdrawn_at=None).values("cluster")
    sizes = rows.annotate(n=Count("image"), first=Min("image")).filter(n__gte=2).order_by()
    totals = list(sizes.values_list("n", flat=True))
    return len(totals), sum(totals)
