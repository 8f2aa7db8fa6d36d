"""Puts a camera's clock right for one visit: offset and zone, without touching an original, undoable.

What the camera wrote stays in `Image.captured_at`; only the UTC that follows from it changes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import available_timezones

from django.db import transaction
from django.db.models import Max

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict, Invalid
from webapp.images.models import ClockRepair, Image
from webapp.images.recount_times import count_anew, remember
from webapp.images.times import clock_zone, zone_of
from webapp.projects.models import Visit

FARTHEST = timedelta(days=365 * 60)
ENOUGH_IMAGES, ENOUGH_HOURS = 40, 6
NOON = 12.5
CLEAR_SHARE, FAR_HOURS = 0.15, 4.0


@dataclass(frozen=True)
class ClockHint:
    """The pictures of a visit are brightest at an hour that is no noon."""

    images: int
    brightest_hour: float
    hours_off: float


def repair_clock(
    *, actor: Actor, visit: Visit, offset_seconds: int | None = None, time_zone: str | None = None, note: str = ""
) -> ClockRepair:
    """Set how far the visit's clock was behind (seconds, added to it) and the zone it was set to; None: as it is."""
    require(actor, Action.CURATE, visit.project)
    if time_zone and time_zone not in available_timezones():
        raise Invalid(f"time_zone: {time_zone!r} is not an IANA name such as Africa/Nairobi.")
    if offset_seconds is not None and abs(offset_seconds) > FARTHEST.total_seconds():
        raise Invalid("A clock is put right by 60 years at most: look at the two times again.")
    return _repair(actor, visit, offset_seconds, time_zone, note, undoes=None)


def undo_repair(*, actor: Actor, repair: ClockRepair) -> ClockRepair:
    """Back to the clock as it was before; only the newest repair of a visit can be taken back. Twice is once."""
    require(actor, Action.CURATE, repair.visit.project)
    known = ClockRepair.objects.filter(undoes=repair).first()
    if known is not None:
        return known
    if repair.undoes_id is not None:
        raise Conflict("This took a repair back: to have it again, repair the clock again.")
    newest = repair.visit.clock_repairs.filter(undoes=None, undone_by=None).aggregate(newest=Max("pk"))["newest"]
    if newest != repair.pk:
        raise Conflict("This clock was repaired again since: take the newer repair back first.")
    return _repair(actor, repair.visit, repair.offset_before, repair.zone_before, "", undoes=repair)


@transaction.atomic
def _repair(
    actor: Actor, visit: Visit, offset: int | None, zone: str | None, note: str, *, undoes: ClockRepair | None
) -> ClockRepair:
    visit = Visit.objects.select_for_update().get(pk=visit.pk)
    repair = ClockRepair(
        visit=visit,
        by=actor.user,
        offset_before=visit.clock_offset_seconds,
        offset_after=visit.clock_offset_seconds if offset is None else offset,
        zone_before=visit.time_zone,
        zone_after=visit.time_zone if zone is None else zone,
        note=note[:2000],
        undoes=undoes,
    )
    visit.clock_offset_seconds, visit.time_zone = repair.offset_after, repair.zone_after
    visit.save(update_fields=["clock_offset_seconds", "time_zone"])
    repair.images = count_anew(visit.project, Image.objects.filter(visit=visit))
    remember(visit)
    repair.save(force_insert=True)
    audit.record(
        actor=actor,
        action="undo clock repair" if undoes else "repair clock",
        project_id=visit.project_id,
        subject=f"visit:{visit.pk}",
        before=[repair.offset_before, repair.zone_before],
        after=[repair.offset_after, repair.zone_after],
        images=repair.images,
    )
    return repair


def clock_hint(visit: Visit) -> ClockHint | None:
    """Whether day and night contradict the clock: the first harmonic of brightness over the local hour.

    None with few images, few hours, pictures that are as bright by night (flash, a freezer, a deck with lamps), or a
    clock that fits.
    """
    zone = zone_of(clock_zone(visit, visit.site, visit.project))
    by_hour: dict[int, list[float]] = defaultdict(list)
    rows = Image.objects.filter(visit=visit, brightness__isnull=False, captured_at_utc__isnull=False)
    for at, brightness in rows.values_list("captured_at_utc", "brightness").iterator(chunk_size=2000):
        if at is not None and brightness is not None:
            by_hour[at.astimezone(zone).hour].append(brightness)
    images = sum(len(values) for values in by_hour.values())
    if images < ENOUGH_IMAGES or len(by_hour) < ENOUGH_HOURS:
        return None
    hour, share = _brightest(by_hour)
    off = (hour - NOON + 12) % 24 - 12
    return ClockHint(images, round(hour, 1), round(off, 1)) if share >= CLEAR_SHARE and abs(off) >= FAR_HOURS else None


def _brightest(by_hour: dict[int, list[float]]) -> tuple[float, float]:
    """The hour at which the day's harmonic peaks (least squares over hours), and how much of the range it spans."""
    means = {hour + 0.5: sum(values) / len(values) for hour, values in by_hour.items()}
    centre = sum(means.values()) / len(means)
    turns = {hour: 2 * math.pi * hour / 24 for hour in means}
    cos2 = sum(math.cos(turn) ** 2 for turn in turns.values())
    sin2 = sum(math.sin(turn) ** 2 for turn in turns.values())
    both = sum(math.sin(turn) * math.cos(turn) for turn in turns.values())
    on_cos = sum((mean - centre) * math.cos(turns[hour]) for hour, mean in means.items())
    on_sin = sum((mean - centre) * math.sin(turns[hour]) for hour, mean in means.items())
    scale = cos2 * sin2 - both**2
    if scale < 1e-6:
        return NOON, 0.0
    a, b = (on_cos * sin2 - on_sin * both) / scale, (on_sin * cos2 - on_cos * both) / scale
    brightest = max(max(means.values()), 1e-6)
    return math.atan2(b, a) * 24 / (2 * math.pi) % 24, 2 * math.hypot(a, b) / brightest
