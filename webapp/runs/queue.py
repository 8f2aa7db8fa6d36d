"""Which runs may begin now, and what stands before one that waits."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from webapp import leases
from webapp.predictions.models import Prediction
from webapp.runs.models import Run

TASK = "webapp.runs.tasks.work"
"""A train worker looks after whatever waits for the device."""

NOW, TONIGHT, IDLE = "now", "tonight", "idle"
WHENS = (NOW, TONIGHT, IDLE)
NIGHT_BEGINS, NIGHT_ENDS = time(20), time(6)


def startable() -> QuerySet[Run]:
    """Runs whose time has come and that nobody is at work on, oldest first."""
    rows = leases.free(Run.objects.filter(Q(not_before=None) | Q(not_before__lte=Now())))
    return rows.exclude(when=IDLE) if recognition_waits() else rows


def recognition_waits() -> bool:
    """Whether pictures wait for the device."""
    return Prediction.objects.filter(state=Prediction.State.PENDING, purpose=Prediction.Purpose.LIVE).exists()


def before(run: Run) -> int:
    """How many other runs of this site come first: those under way, whichever was started first, and older ones.

    One that waits for the night holds nobody up by day.
    """
    older = Run.objects.filter(state=Run.State.WAITING, pk__lt=run.pk)
    if run.not_before is None:
        older = older.exclude(not_before__gt=Now())
    return older.count() + Run.objects.filter(state=Run.State.LEASED).exclude(pk=run.pk).count()


def tonight(zone: str) -> datetime | None:
    """When the night begins where the person is; None: it is night already."""
    here = timezone.now().astimezone(ZoneInfo(zone or "UTC"))
    if here.time() >= NIGHT_BEGINS or here.time() < NIGHT_ENDS:
        return None
    return here.replace(hour=NIGHT_BEGINS.hour, minute=0, second=0, microsecond=0)
