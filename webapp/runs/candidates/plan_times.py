"""When a plan comes round next: a time of day where its people are, summer time and all. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from webapp.errors import Invalid

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def next_time(at: time, *, zone: str, weekday: int | None, after: datetime) -> datetime:
    """The first moment after `after` (aware) at which it is `at` in `zone`, on `weekday` (0 is Monday) if given.

    An hour that the clock skips counts as the one after it; of an hour that comes twice the first one counts. So a plan
    comes round once on each of its days, also when the clock changes.
    """
    here = zone_of(zone)
    day = after.astimezone(here).date() - timedelta(days=1)
    while True:
        moment = _moment(day, at, here)
        if moment > after and (weekday is None or day.weekday() == weekday):
            return moment
        day += timedelta(days=1)


def _moment(day: date, at: time, here: ZoneInfo) -> datetime:
    return datetime.combine(day, at.replace(tzinfo=None, fold=0), tzinfo=here).astimezone(UTC)


def zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"There is no time zone {name!r}; they are called like Europe/Paris.", code="bad-plan") from error
