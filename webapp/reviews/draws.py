"""Random draws for blind reading: uniform over a frame that is written down, seeded, replaced by the next draw."""

from __future__ import annotations

import random
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.errors import Conflict, Invalid
from webapp.images.models import ImageState
from webapp.projects.models import Project
from webapp.reviews.models import Finding

MOST_DRAWN = 10_000
CHUNK = 500

Rows = QuerySet[ImageState]


@dataclass(frozen=True)
class Draw:
    """`units` of `frame` were drawn, each with the same probability; they hold `images`."""

    uid: str
    seed: int
    level: str
    units: int
    frame: int
    images: int
    sampling_probability: float


def sample(items: Sequence[int], size: int, seed: int) -> list[int]:
    """A uniform sample without replacement; the same items, size and seed give the same one, in the same order."""
    return random.Random(seed).sample(items, min(size, len(items)))


def checked_size(size: int) -> int:
    if not 1 <= size <= MOST_DRAWN:
        raise Invalid(f"A draw of {size:,}: choose between 1 and {MOST_DRAWN:,}.")
    return size


def new_seed() -> int:
    return secrets.randbelow(2**31)


@transaction.atomic
def replace_draw(
    *,
    actor: Actor,
    project: Project,
    kind: str,
    images: Mapping[int, int | None],
    draw: Draw,
    selection: Mapping[str, str],
) -> Draw:
    """Open a finding for each drawn image (id -> its sequence, where sequences were drawn), in the order given.

    What an earlier draw of the kind left unread is dropped; what was read stays read unless it was drawn again.
    """
    if not images:
        raise Conflict("Nothing to draw from: the selection holds no such images.", code="nothing-to-draw")
    Project.objects.select_for_update().get(pk=project.pk)
    Finding.objects.filter(project=project, kind=kind, settled_at=None).delete()
    detail = {"draw": draw.uid, "seed": draw.seed, "level": draw.level, "frame": draw.frame, "of": dict(selection)}
    rows = [
        Finding(
            project=project,
            kind=kind,
            image_id=image_id,
            group=group,
            score=1 - place / len(images),
            detail=detail,
            sampling_probability=draw.sampling_probability,
        )
        for place, (image_id, group) in enumerate(images.items())
    ]
    Finding.objects.bulk_create(
        rows,
        batch_size=CHUNK,
        update_conflicts=True,
        unique_fields=["project", "kind", "image"],
        update_fields=["group", "score", "detail", "sampling_probability", "settled_at", "created_at"],
    )
    audit.record(
        actor=actor,
        action=f"draw {kind}",
        project_id=project.pk,
        subject=f"draw:{draw.uid}",
        **{**detail, "units": draw.units, "images": draw.images},
    )
    return draw


def make_draw(*, seed: int, level: str, units: int, frame: int, images: int) -> Draw:
    return Draw(str(uuid.uuid4()), seed, level, units, frame, images, units / frame)
