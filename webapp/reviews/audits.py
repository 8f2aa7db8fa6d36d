"""A random audit: a blind sample of images or sequences that tells how good the labels are.

Each unit of the selection has the same chance, and the chance is kept with each verdict, so that an estimate over the
whole selection follows from the sample.
"""

from __future__ import annotations

from collections.abc import Mapping

from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Invalid
from webapp.images.models import ImageState
from webapp.projects.models import Project
from webapp.reviews.draws import Draw, Rows, checked_size, make_draw, new_seed, replace_draw, sample
from webapp.reviews.models import Finding

LEVELS = ("image", "sequence")


def draw_audit(
    *,
    actor: Actor,
    project: Project,
    rows: Rows,
    selection: Mapping[str, str],
    size: int = 200,
    level: str = "sequence",
    seed: int | None = None,
) -> Draw:
    """Draw `size` units from `rows`, the images of `selection`, and open the audit queue with them."""
    require(actor, Action.CURATE, project)
    checked_size(size)
    if level not in LEVELS:
        raise Invalid(f"An audit draws by {' or '.join(LEVELS)}, not by {level!r}.")
    seed = new_seed() if seed is None else seed
    frame = _frame(rows, level)
    chosen = sample(frame, size, seed)
    images = _images(chosen) if level == "sequence" else dict.fromkeys(chosen)
    draw = make_draw(seed=seed, level=level, units=len(chosen), frame=max(1, len(frame)), images=len(images))
    return replace_draw(
        actor=actor, project=project, kind=Finding.Kind.AUDIT, images=images, draw=draw, selection=selection
    )


def _frame(rows: Rows, level: str) -> list[int]:
    """The units to draw from: image ids, and where sequences are drawn, the negated ids of sequences."""
    if level == "image":
        return list(rows.order_by("image_id").values_list("image_id", flat=True).iterator(chunk_size=10_000))
    lone: list[int] = []
    sequences: set[int] = set()
    pairs = rows.order_by("image_id").values_list("image_id", "sequence_id")
    for image_id, sequence_id in pairs.iterator(chunk_size=10_000):
        if sequence_id is None:
            lone.append(image_id)
        else:
            sequences.add(sequence_id)
    return [*(-key for key in sorted(sequences)), *lone]


def _images(units: list[int]) -> dict[int, int | None]:
    """The images of drawn units in the order of the draw, each with its sequence: a sequence is read whole."""
    sequences = [-unit for unit in units if unit < 0]
    members: dict[int, list[int]] = {}
    rows = ImageState.objects.filter(sequence_id__in=sequences).order_by("sequence_id", "image_id")
    for image_id, sequence_id in rows.values_list("image_id", "sequence_id"):
        members.setdefault(sequence_id or 0, []).append(image_id)
    images: dict[int, int | None] = {}
    for unit in units:
        images |= {unit: None} if unit >= 0 else dict.fromkeys(members.get(-unit, []), -unit)
    return images
