"""Labels that are probably wrong: cleanlab on out-of-fold probabilities, and near-duplicates that disagree."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from webapp.images.models import ImageState
from webapp.projects.models import Label, Project
from webapp.reviews import findings
from webapp.reviews.labelled import Labelled, labelled
from webapp.reviews.models import Finding, NearDuplicate
from webapp.reviews.numeric.label_errors import FOLDS, judge
from webapp.reviews.numeric.spaces import reduced
from webapp.reviews.vectors import Vectors

FEWEST = 20
Kind = Finding.Kind


def find_suspects(project: Project, embedded: Vectors | None) -> dict[str, int]:
    """Replace the suspect labels; returns how many labels were judged and how many are open."""
    known = labelled(project)
    found: list[Finding] = []
    judged = 0
    if embedded is not None:
        rows = embedded.find(known.ids)
        there = np.flatnonzero(rows >= 0)
        if len(there) >= FEWEST:
            found, judged = _judge(project, known, there, embedded.matrix[np.sort(rows[there])], rows[there])
    return {"judged": judged, "suspects": findings.replace(project=project, kind=Kind.SUSPECT, found=found)}


def _judge(
    project: Project,
    known: Labelled,
    there: NDArray[np.int64],
    in_file_order: NDArray[np.float16],
    rows: NDArray[np.int64],
) -> tuple[list[Finding], int]:
    """The map is read from front to back; what comes of it is put into the order of the images."""
    small = reduced(in_file_order)[np.argsort(np.argsort(rows, kind="stable"), kind="stable")]
    labels = known.labels[there]
    judged = judge(small, labels, groups_of(known)[there])
    names = dict(Label.objects.filter(project=project).values_list("pk", "name"))
    found = []
    for place in judged.issues.tolist():
        given, better = int(labels[place]), int(judged.proposed[place])
        sure = float(judged.sure[place])
        found.append(
            Finding(
                image_id=int(known.ids[there[place]]),
                score=1.0 - float(judged.quality[place]),
                label_id=better,
                why=f"Labelled {names[given]}, but it looks like {names[better]} ({sure:.0%}) to the rest of the data",
                detail={"given": given, "sure": round(sure, 4)},
            )
        )
    return found, int(np.isfinite(judged.quality).sum())


def groups_of(known: Labelled) -> NDArray[np.int64]:
    """Whole sites are held out where every label has pictures of enough sites; else near-duplicates and sequences."""
    pairs = np.unique(np.stack([known.labels, known.sites], axis=1)[known.sites > 0], axis=0)
    labels = np.unique(known.labels)
    if not len(pairs) or (known.sites == 0).any():
        return known.groups
    sites = np.bincount(np.searchsorted(labels, pairs[:, 0]), minlength=len(labels))
    return known.sites if int(sites.min()) >= FOLDS else known.groups


def find_disagreeing(project: Project) -> int:
    """Replace the findings of near-duplicate clusters whose labelled images do not all say the same."""
    rows = (
        NearDuplicate.objects.filter(project=project, image__withdrawn_at=None)
        .filter(image__state__review_state=ImageState.ReviewState.REVIEWED, image__state__label__isnull=False)
        .order_by("cluster", "image")
        .values_list("cluster", "image_id", "image__state__label_id")
    )
    clusters: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for cluster, image_id, label_id in rows.iterator(chunk_size=10_000):
        clusters[cluster].append((image_id, label_id))
    names = dict(Label.objects.filter(project=project).values_list("pk", "name"))
    found = []
    for cluster, members in clusters.items():
        votes: dict[int, int] = defaultdict(int)
        for _, label_id in members:
            votes[label_id] += 1
        if len(votes) > 1:
            found += [_disagreeing(cluster, image_id, label_id, votes, names) for image_id, label_id in members]
    return findings.replace(project=project, kind=Kind.DUPLICATES_DISAGREE, found=found)


def _disagreeing(cluster: int, image_id: int, label_id: int, votes: dict[int, int], names: dict[int, str]) -> Finding:
    """Who stands alone comes first."""
    others = {other: count for other, count in votes.items() if other != label_id}
    most = max(others, key=lambda other: (others[other], -other))
    return Finding(
        image_id=image_id,
        score=others[most] / sum(votes.values()),
        group=cluster,
        label_id=most,
        why=f"Labelled {names[label_id]}, but {others[most]} near-duplicate(s) of it {names[most]}",
        detail={"given": label_id, "votes": {names[one]: count for one, count in votes.items()}},
    )
