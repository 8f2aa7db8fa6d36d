"""What has become of a snapshot since it was frozen: counted at once for a small one, by a worker for a large one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from webapp import queue
from webapp.datasets.leaks import present_state
from webapp.datasets.models import Snapshot

TASK = "webapp.datasets.tasks_freeze.look_again"
COUNTED_AT_ONCE = 50_000
"""Images in parts up to which nobody has to wait for a worker."""
GOOD_FOR = timedelta(minutes=10)


@dataclass(frozen=True)
class Since:
    """`state` as `leaks.present_state` gives it, empty until a worker has counted; `at` is when it was counted."""

    state: dict[str, Any]
    at: datetime | None


def since(snapshot: Snapshot, *, wait: bool = False) -> Since:
    """What is known now; of a large snapshot what was counted last, and a worker counts anew after ten minutes.

    With `wait`, for commands beside a site that may be stopped, it is counted here and now.
    """
    if wait or snapshot.counts.get("used", 0) <= COUNTED_AT_ONCE:
        return Since(present_state(snapshot), timezone.now())
    _ask(snapshot)
    return Since(snapshot.since, snapshot.since_at)


def count_again(snapshot_id: int) -> None:
    """Count and keep it; a snapshot that is gone is nobody's any more."""
    snapshot = Snapshot.objects.filter(pk=snapshot_id).first()
    if snapshot is not None:
        Snapshot.objects.filter(pk=snapshot_id).update(since=present_state(snapshot), since_at=timezone.now())


def _ask(snapshot: Snapshot) -> None:
    """Send for a worker, once in ten minutes however many look; a message that was lost is sent again then."""
    old = timezone.now() - GOOD_FOR
    if snapshot.since_asked_at is not None and snapshot.since_asked_at > old:
        return
    due = Q(since_asked_at=None) | Q(since_asked_at__lte=old)
    if Snapshot.objects.filter(due, pk=snapshot.pk).update(since_asked_at=timezone.now()):
        queue.send(TASK, snapshot.pk, queue="io")
