"""Which held units a decision ends."""

from __future__ import annotations

from collections.abc import Sequence

from webapp.access.models import User
from webapp.images.models import ImageState
from webapp.projects.models import Project
from webapp.reviews import holds
from webapp.reviews.models import Finding, Hold

Unreviewed = ImageState.ReviewState.UNREVIEWED


def let_go(project: Project, person: User, rows: Sequence[ImageState]) -> None:
    """Release the units that hold these images. A sequence of which frames are left undecided stays held."""
    held = set(Hold.objects.filter(project=project, reviewer=person, is_skipped=False).values_list("unit", flat=True))
    done = {f"i{row.pk}" for row in rows}
    sequences = {row.sequence_id for row in rows if row.sequence_id and f"s{row.sequence_id}" in held}
    if sequences:
        done |= {f"s{key}" for key in sequences - _undecided(sequences, rows)}
    if any(unit.startswith("g") for unit in held):
        kind = Finding.Kind.CLUSTER
        ids = [row.pk for row in rows]
        groups = Finding.objects.filter(project=project, kind=kind, image_id__in=ids, group__isnull=False)
        done |= {f"g{group}" for group in groups.values_list("group", flat=True).distinct()}
    ended = sorted(held & done)
    if ended:
        holds.release(project, person, ended)


def _undecided(sequences: set[int], rows: Sequence[ImageState]) -> set[int]:
    left = ImageState.objects.filter(sequence_id__in=sequences, review_state=Unreviewed)
    keys = left.exclude(pk__in=[row.pk for row in rows]).values_list("sequence_id", flat=True)
    return {key for key in keys if key is not None}
