"""Clusters of near-duplicates as an analysis left them: which there are, and which images lie in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Count, QuerySet

from webapp.images.models import ImageState
from webapp.projects.models import Project
from webapp.reviews.models import NearDuplicate

MOST_SHOWN = 200
"""Images of one cluster that are listed; a still camera may have thousands alike."""
AT_ONCE = 500


@dataclass(frozen=True)
class Member:
    """One image of a cluster; `label` is the key of the one that stands now, '' for none."""

    id: int
    path: str
    label: str
    part: str


def clusters_of(project: Project) -> QuerySet[Any, Any]:
    """`cluster` and how many `images` it has, for those with two images and more that are not withdrawn."""
    rows = NearDuplicate.objects.filter(project=project, image__withdrawn_at=None).order_by()
    return rows.values("cluster").annotate(images=Count("pk")).filter(images__gte=2)


def members_of(project: Project, clusters: Sequence[int]) -> Mapping[int, list[Member]]:
    """The first images of each of these clusters, by cluster."""
    rows = NearDuplicate.objects.filter(project=project, cluster__in=clusters, image__withdrawn_at=None)
    keys = rows.order_by("cluster", "image_id").values_list("cluster", "image_id", "image__path", "image__part")
    kept: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
    for cluster, image_id, path, part in keys.iterator():
        if len(kept[cluster]) < MOST_SHOWN:
            kept[cluster].append((image_id, path, part))
    ids = [image_id for some in kept.values() for image_id, _, _ in some]
    labels: dict[int, str] = {}
    for start in range(0, len(ids), AT_ONCE):
        said = ImageState.objects.filter(pk__in=ids[start : start + AT_ONCE], label__isnull=False)
        labels |= dict(said.values_list("pk", "label__key"))
    return {
        cluster: [Member(image_id, path, labels.get(image_id, ""), part) for image_id, path, part in some]
        for cluster, some in kept.items()
    }


def all_clusters(project: Project) -> Iterator[dict[str, Any]]:
    """Every cluster with its images, for a program that wants them all."""
    names = clusters_of(project).order_by("cluster").values_list("cluster", "images").iterator()
    while some := dict(islice(names, AT_ONCE)):
        members = members_of(project, list(some))
        for cluster, images in some.items():
            yield {"cluster": cluster, "count": images, "images": [vars(one) for one in members.get(cluster, ())]}
