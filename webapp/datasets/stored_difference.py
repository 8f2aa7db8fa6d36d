"""What changed between two snapshots, for whoever looks: counted at once between small ones, else once by a worker.

Snapshots never change, so what was counted is kept for good.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from training.contract import ManifestError
from webapp import queue
from webapp.datasets import manifest
from webapp.datasets.difference import KINDS, difference, ends, require_one_project
from webapp.datasets.models import Difference, Snapshot
from webapp.errors import OspreyError, Unavailable

log = logging.getLogger(__name__)

TASK = "webapp.datasets.tasks_freeze.count_difference"
COUNTED_AT_ONCE = 20_000
"""Lines of both manifests up to which nobody has to wait for a worker."""
ASKED_AGAIN = timedelta(minutes=5)


def stored_difference(before: Snapshot, after: Snapshot) -> dict[str, Any] | None:
    """As `difference` gives it, or None while a worker counts it; Unavailable says why it cannot."""
    require_one_project(before, after)
    if _is_small(before, after) or before.digest == after.digest:
        return _count(before, after)
    row, _ = Difference.objects.get_or_create(before=before, after=after)
    if row.counted_at is not None:
        return {**row.content, **ends(before, after)}
    manifest.path_of(before)
    manifest.path_of(after)
    is_asked = _ask(row)
    if row.reason and not is_asked:
        raise Unavailable(row.reason, code="manifest-damaged")
    return None


def count_and_keep(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """Count it where nobody waits, for those who will look; returns the counts alone."""
    whole = _count(before, after)
    if not _is_small(before, after):
        Difference.objects.update_or_create(
            before=before, after=after, defaults={"content": whole, "counted_at": timezone.now(), "reason": ""}
        )
    return {name: whole[name] for name in ("before", "same", *KINDS)}


def count_asked(difference_id: int) -> None:
    """What somebody waits for; one that was counted meanwhile, or whose snapshots are gone, is nobody's any more."""
    row = Difference.objects.select_related("before", "after").filter(pk=difference_id, counted_at=None).first()
    if row is None:
        return
    try:
        count_and_keep(row.before, row.after)
    except OspreyError as error:
        log.warning("difference %s was not counted: %s", row.pk, error.what)
        Difference.objects.filter(pk=row.pk).update(reason=error.what)


def _is_small(before: Snapshot, after: Snapshot) -> bool:
    lines: int = before.counts["images"] + after.counts["images"]
    return lines <= COUNTED_AT_ONCE


def _count(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    try:
        return difference(before, after)
    except ManifestError as error:
        raise Unavailable(str(error), code="manifest-damaged") from error


def _ask(row: Difference) -> bool:
    """Send for a worker, once in a while however many look; a message that was lost is sent again then."""
    old = timezone.now() - ASKED_AGAIN
    due = Q(asked_at=None) | Q(asked_at__lte=old)
    is_due = bool(Difference.objects.filter(due, pk=row.pk, counted_at=None).update(asked_at=timezone.now()))
    if is_due:
        queue.send(TASK, row.pk, queue="io")
    return is_due
