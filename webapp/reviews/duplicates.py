"""Near-duplicates: pictures that show the same moment or are edits of each other. They never straddle a split.

Two pictures are near-duplicates when their perceptual hashes differ in at most 7 of 64 bits and their embeddings do not
contradict it, or when the hashes differ in at most 20 and the embeddings are nearly the same (docs/measured.md says
what edits and distinct pictures give). A featureless picture is like any other of its kind, and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import Count, Min, Q
from numpy.typing import NDArray

from webapp.images.models import Image
from webapp.projects.models import Project
from webapp.reviews import vectors
from webapp.reviews.models import NearDuplicate
from webapp.reviews.numeric import spaces
from webapp.reviews.numeric.hashes import REACH, Pairs, close_pairs, differing_bits
from webapp.reviews.numeric.joining import Clusters
from webapp.reviews.vectors import Vectors

CONTRADICTS = 0.6
FAR_BITS = 20
NEARLY_THE_SAME = 0.92
CLEARLY_APART = 28
ABOVE_CHANCE = 0.02
FLAT_CONTRAST = 0.03
WRITE = 500
READ = 10_000
SAMPLE = 200_000
BLOCK = 50_000


@dataclass(frozen=True)
class Found:
    """How many clusters there are, how many images lie in one, and how many rows changed."""

    clusters: int
    images: int
    changed: int


@dataclass(frozen=True)
class Hashes:
    """The measured images of a project, in the order of their ids."""

    ids: NDArray[np.int64]
    hashes: NDArray[np.int64]
    news: NDArray[np.bool_] | None


def find_clusters(project: Project, *, since: datetime | None = None) -> Found:
    """Find near-duplicates and bring their rows up to date; with `since`, only pairs with an image measured later.

    Clusters only grow and join: the smaller name wins, so that a name once given to a split stays good.
    """
    known = _read(project, since)
    pairs, by_hash = _pairs(known, vectors.load(project))
    return _write(project, known.ids[pairs].tolist(), set(known.ids[pairs[by_hash]].ravel().tolist()))


def _read(project: Project, since: datetime | None) -> Hashes:
    images = (
        Image.objects.filter(project=project, withdrawn_at=None, perceptual_hash__isnull=False)
        .exclude(perceptual_hash=0)
        .filter(Q(contrast=None) | Q(contrast__gte=FLAT_CONTRAST))
        .order_by("pk")
    )
    rows = images.values_list("pk", "perceptual_hash", "measured_at").iterator(chunk_size=READ)
    made = np.fromiter(
        ((key, hash_, since is None or moment is None or moment >= since) for key, hash_, moment in rows),
        dtype=[("id", np.int64), ("hash", np.int64), ("new", np.bool_)],
    )
    return Hashes(made["id"].copy(), made["hash"].copy(), None if since is None else made["new"].copy())


def _pairs(known: Hashes, embedded: Vectors | None) -> tuple[Pairs, NDArray[np.bool_]]:
    """Pairs of positions, and which of them the hashes alone gave."""
    near = close_pairs(known.hashes, at_most=REACH, news=known.news)
    if embedded is None:
        return near, np.ones(len(near), dtype=np.bool_)
    rows = embedded.find(known.ids)
    near = near[_likeness(near, rows, embedded) >= CONTRADICTS]
    far = _alike(known, rows, embedded)
    both = np.concatenate([near, far])
    return both, np.arange(len(both)) < len(near)


def _likeness(pairs: Pairs, rows: NDArray[np.int64], embedded: Vectors) -> NDArray[np.float32]:
    """Cosines of pairs; a pair without embeddings is not contradicted."""
    found = np.ones(len(pairs), dtype=np.float32)
    have = np.flatnonzero((rows[pairs] >= 0).all(axis=1))
    for part in spaces.blocks(len(have), BLOCK):
        one, other = rows[pairs[have[part]]].T
        first = np.asarray(embedded.matrix[one], dtype=np.float32)
        found[have[part]] = np.einsum("ij,ij->i", first, np.asarray(embedded.matrix[other], dtype=np.float32))
    return found


def _alike(known: Hashes, rows: NDArray[np.int64], embedded: Vectors) -> Pairs:
    """Pairs that the embedding finds: crops, captions, frames of one burst. The hash still has to be related."""
    there = np.flatnonzero(rows >= 0)
    if len(there) < 2 or (known.news is not None and not known.news[there].any()):
        return np.empty((0, 2), dtype=np.int64)
    limit = _limit(known, there, rows, embedded)
    if limit >= 1.0:
        return np.empty((0, 2), dtype=np.int64)
    small = spaces.reduced(embedded.matrix[rows[there]] if len(there) < BLOCK else _rows(embedded, rows[there]))
    pairs = there[spaces.alike_pairs(small, at_least=limit - 0.02)]
    if known.news is not None:
        pairs = pairs[known.news[pairs].any(axis=1)]
    bits = differing_bits(known.hashes, pairs)
    pairs = pairs[(bits > REACH) & (bits <= FAR_BITS)]
    return pairs[_likeness(pairs, rows, embedded) >= limit]


def _rows(embedded: Vectors, rows: NDArray[np.int64]) -> NDArray[np.float16]:
    """All rows in file order are the map itself; else they are copied."""
    if len(rows) == len(embedded.matrix) and (np.diff(rows) == 1).all():
        return embedded.matrix
    return np.asarray(embedded.matrix[rows])


def _limit(known: Hashes, there: NDArray[np.int64], rows: NDArray[np.int64], embedded: Vectors) -> float:
    """How alike embeddings must be: beyond what pictures reach that are surely distinct.

    A network trained to the labels of the project draws all pictures of one label together; there the hash decides.
    """
    random = np.random.default_rng(0)
    pairs = there[random.integers(0, len(there), (min(SAMPLE, len(there) * 50), 2))]
    pairs = pairs[differing_bits(known.hashes, pairs) >= CLEARLY_APART]
    if not len(pairs):
        return NEARLY_THE_SAME
    by_chance = float(np.quantile(_likeness(pairs, rows, embedded), 0.9999))
    return max(NEARLY_THE_SAME, by_chance + ABOVE_CHANCE)


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
