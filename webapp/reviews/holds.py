"""Who has which unit on the screen: several reviewers on one queue never get the same one.

A hold is one row for each unit, taken by compare-and-set: it goes to somebody else only once its lease has ended, by
the database's clock. The lease is renewed while the page is open. What a person skipped stays away from that person
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from webapp.access.models import User
from webapp.errors import Invalid
from webapp.images.models import ImageState
from webapp.projects.models import Project
from webapp.reviews.models import Hold

LEASE_SECONDS = 300
SKIPPED_SECONDS = 12 * 3600
MOST_UNITS = 200
KINDS = {"s": "sequence", "i": "image", "g": "group"}


@dataclass(frozen=True)
class Taken:
    """Units that are not to be given now, by what they are."""

    sequences: frozenset[int] = frozenset()
    images: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()
    sequences_in_part: frozenset[int] = frozenset()
    """Sequences of which somebody has a single image."""

    def with_units(self, units: Iterable[str]) -> Taken:
        more = _sorted_out(units)
        return Taken(
            self.sequences | more["s"], self.images | more["i"], self.groups | more["g"], self.sequences_in_part
        )


def parse(unit: str) -> tuple[str, int]:
    """The kind of a unit (s, i, g) and its number."""
    kind, number = unit[:1], unit[1:]
    if kind not in KINDS or not (number.isascii() and number.isdigit()) or len(number) > 18:
        raise Invalid(f"{unit[:40]!r} is no unit of review: they look like s12, i3 or g5.", code="bad-unit")
    return kind, int(number)


def taken(project: Project, reviewer: User, *, have: Sequence[str] | None) -> Taken:
    """What others hold, what this person skipped, and what this person holds already.

    With `have`, the units a page still shows, the person's other units are free for them: the page was reloaded.
    """
    rows = Hold.objects.filter(project=project, until__gt=Now())
    mine = Q(reviewer=reviewer, is_skipped=False)
    if have is not None:
        rows = rows.exclude(mine & ~Q(unit__in=list(have)))
    units = rows.filter(Q(is_skipped=False) | Q(reviewer=reviewer)).values_list("unit", flat=True)
    found = Taken().with_units(units)
    apart = ImageState.objects.filter(pk__in=found.images, sequence__isnull=False) if found.images else None
    in_part = frozenset(apart.values_list("sequence_id", flat=True)) if apart is not None else frozenset()
    return Taken(found.sequences, found.images, found.groups, in_part)


def take(project: Project, reviewer: User, queue: str, units: Sequence[str]) -> set[str]:
    """Hold those units that nobody else holds; returns them. One statement, so two people cannot both get one."""
    if not units:
        return set()
    table = Hold._meta.db_table
    until, now = _from_now(LEASE_SECONDS), _from_now(0)
    wanted = sorted(set(units))
    rows = ", ".join([f"(%s, %s, %s, %s, {until}, FALSE)"] * len(wanted))
    values = [part for unit in wanted for part in (project.pk, reviewer.pk, unit, queue)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (project_id, reviewer_id, unit, queue, until, is_skipped) VALUES {rows} "
            f"ON CONFLICT (project_id, unit) WHERE NOT is_skipped DO UPDATE SET "
            f"reviewer_id = excluded.reviewer_id, queue = excluded.queue, until = excluded.until "
            f"WHERE {table}.until <= {now} OR {table}.reviewer_id = excluded.reviewer_id RETURNING unit",
            values,
        )
        return {row[0] for row in cursor.fetchall()}


def renew(project: Project, reviewer: User, units: Sequence[str]) -> list[str]:
    """Prolong the leases that this person still has; returns those units. The others went to somebody else."""
    if not units:
        return []
    table = Hold._meta.db_table
    places = ", ".join(["%s"] * len(units))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET until = {_from_now(LEASE_SECONDS)} WHERE project_id = %s AND reviewer_id = %s "
            f"AND NOT is_skipped AND unit IN ({places}) RETURNING unit",
            [project.pk, reviewer.pk, *units],
        )
        return sorted(row[0] for row in cursor.fetchall())


def release(project: Project, reviewer: User, units: Sequence[str]) -> int:
    """Give units back to the queue."""
    held = Hold.objects.filter(project=project, reviewer=reviewer, is_skipped=False, unit__in=list(units))
    return held.delete()[0]


def skip(project: Project, reviewer: User, queue: str, unit: str) -> None:
    """Keep a unit away from this person for some hours; others may get it at once."""
    table = Hold._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (project_id, reviewer_id, unit, queue, until, is_skipped) "
            f"VALUES (%s, %s, %s, %s, {_from_now(SKIPPED_SECONDS)}, TRUE) "
            "ON CONFLICT (project_id, reviewer_id, unit) WHERE is_skipped DO UPDATE SET until = excluded.until",
            [project.pk, reviewer.pk, unit, queue],
        )
    release(project, reviewer, [unit])


def forget_ended(project: Project) -> int:
    """Rows whose lease or skip has ended say nothing any more."""
    return Hold.objects.filter(project=project, until__lte=Now()).delete()[0]


def _from_now(seconds: int) -> str:
    """A moment by the database's clock, as SQL."""
    if connection.vendor == "postgresql":
        return f"(clock_timestamp() + interval '{seconds} seconds')"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '+{seconds} seconds')"


def _sorted_out(units: Iterable[str]) -> dict[str, frozenset[int]]:
    numbers: dict[str, set[int]] = {kind: set() for kind in KINDS}
    for unit in units:
        kind, number = parse(unit)
        numbers[kind].add(number)
    return {kind: frozenset(some) for kind, some in numbers.items()}
