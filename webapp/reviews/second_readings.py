"""Second readings: reviewed images are drawn, and another person reads them blind."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Exists, OuterRef

from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.images.models import ImageState
from webapp.projects.models import Project
from webapp.reviews.draws import Draw, Rows, checked_size, make_draw, new_seed, replace_draw, sample
from webapp.reviews.models import Finding, Review


def draw_second_readings(
    *,
    actor: Actor,
    project: Project,
    rows: Rows,
    selection: Mapping[str, str],
    size: int = 200,
    seed: int | None = None,
) -> Draw:
    """Draw `size` images that one person read and nobody read again, and open the queue `second` with them."""
    require(actor, Action.CURATE, project)
    checked_size(size)
    seed = new_seed() if seed is None else seed
    again = Review.objects.filter(image_id=OuterRef("pk"), second_reading=True, undone_by=None)
    once = rows.filter(
        ~Exists(again.exclude(verdict=Review.Verdict.WITHDRAWN)), source=ImageState.Source.HUMAN
    ).order_by("image_id")
    frame = list(once.values_list("image_id", flat=True).iterator(chunk_size=10_000))
    chosen = sample(frame, size, seed)
    draw = make_draw(seed=seed, level="image", units=len(chosen), frame=max(1, len(frame)), images=len(chosen))
    return replace_draw(
        actor=actor,
        project=project,
        kind=Finding.Kind.SECOND,
        images=dict.fromkeys(chosen),
        draw=draw,
        selection=selection,
    )
