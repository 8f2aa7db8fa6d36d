"""Why somebody should look at an image: written by analyses and draws, settled when somebody looked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from webapp.images.models import Image
from webapp.projects.models import Project
from webapp.reviews.models import Finding, Review

BATCH = 500
DRAWN = (Finding.Kind.AUDIT, Finding.Kind.SECOND)
"""Drawn at random; a look in another queue was not blind, so it does not stand for the reading."""


@transaction.atomic
def replace(*, project: Project, kind: str, found: Sequence[Finding]) -> int:
    """Put what was found in the place of what nobody has looked at yet; returns how many are open now.

    What somebody settled stays settled: a label that was confirmed is not suspected again.
    """
    Project.objects.select_for_update().get(pk=project.pk)
    Finding.objects.filter(project=project, kind=kind, settled_at=None).delete()
    settled = set(Finding.objects.filter(project=project, kind=kind).values_list("image_id", flat=True))
    there = _still_there([one.image_id for one in found])
    fresh = [one for one in found if one.image_id in there and one.image_id not in settled]
    for one in fresh:
        one.project, one.kind, one.why = project, kind, one.why[:200]
    Finding.objects.bulk_create(fresh, batch_size=BATCH)
    return len(fresh)


def _still_there(ids: Sequence[int]) -> set[int]:
    """Images may have been withdrawn while the analysis ran."""
    there: set[int] = set()
    for start in range(0, len(ids), BATCH):
        rows = Image.objects.filter(pk__in=ids[start : start + BATCH], withdrawn_at=None)
        there.update(rows.values_list("pk", flat=True))
    return there


def settle(image_ids: Iterable[int], *, drawn_as: str = "") -> None:
    """A person looked at these images: what was open about them is settled. Within the caller's transaction.

    A draw is settled only by the reading that it asked for; `drawn_as` is the kind of that draw, if one did.
    """
    ids, others = list(image_ids), [kind for kind in DRAWN if kind != drawn_as]
    if not ids:
        return
    with connection.cursor() as cursor:  # by hand, since each decision passes here
        cursor.execute(
            f"UPDATE {Finding._meta.db_table} SET settled_at = %s WHERE settled_at IS NULL "
            f"AND image_id IN ({_places(ids)}) AND kind NOT IN ({_places(others)})",
            [connection.ops.adapt_datetimefield_value(timezone.now()), *ids, *others],
        )


def _places(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))


def reopen(image_ids: Sequence[int]) -> None:
    """Verdicts on these images were taken back: what no verdict has answered since is open again."""
    since = Review.objects.filter(
        image_id=OuterRef("image_id"), at__gte=OuterRef("created_at"), undone_by=None
    ).exclude(verdict=Review.Verdict.WITHDRAWN)
    by_people = since.exclude(how__in=[Review.How.RULE, Review.How.IMPORTED])
    settled = Finding.objects.filter(image_id__in=image_ids, settled_at__isnull=False)
    settled.exclude(kind__in=DRAWN).filter(~Exists(by_people)).update(settled_at=None)
    for kind in DRAWN:
        settled.filter(~Exists(by_people.filter(queue=kind)), kind=kind).update(settled_at=None)
