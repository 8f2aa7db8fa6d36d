"""Give a reviewer the next units of a queue, each held for that person alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.access.actors import Actor
from webapp.access.models import User
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Forbidden
from webapp.projects.models import Project
from webapp.reviews import holds, queues
from webapp.reviews.models import Review
from webapp.reviews.queues import Candidate, Queue, Rows
from webapp.reviews.units import Unit, units_of

MOST_UNITS = 32
PACE_FROM = 200


@dataclass(frozen=True)
class Given:
    """`left` images wait in the queue, these among them; and how long they take this person, where that is known."""

    units: list[Unit]
    left: int
    at_my_pace_seconds: float | None


def next_units(
    *,
    actor: Actor,
    project: Project,
    queue: Queue,
    limit: int = 8,
    by_sequence: bool = True,
    within: Rows | None = None,
    have: Sequence[str] | None = None,
) -> Given:
    """Up to `limit` units that nobody holds. `have`: units the page shows already; see `holds.taken`."""
    person = person_of(actor, project, queue)
    holds.forget_ended(project)
    chosen = _choose(project, queue, person, min(limit, MOST_UNITS), by_sequence, within, have)
    left = queues.left_in(project, queue, person, within)
    pace = _seconds_an_image(person)
    return Given(units_of(project, queue, chosen), left, None if pace is None else round(pace * left, 1))


def person_of(actor: Actor, project: Project, queue: Queue) -> User:
    """Units are held by people, so a call needs one."""
    require(actor, Action.CURATE if queue.for_curators else Action.REVIEW, project)
    if actor.user is None:
        raise Forbidden("A queue gives its units to people: sign in, or use a person's token.")
    return actor.user


def _choose(
    project: Project,
    queue: Queue,
    person: User,
    limit: int,
    by_sequence: bool,
    within: Rows | None,
    have: Sequence[str] | None,
) -> dict[str, Candidate]:
    taken = holds.taken(project, person, have=have)
    if have is not None:
        taken = taken.with_units(have)
    chosen: dict[str, Candidate] = {}
    while len(chosen) < limit:
        found: dict[str, Candidate] = {}
        for candidate in queues.candidates(project, queue, person, taken=taken, within=within, by_sequence=by_sequence):
            found.setdefault(_name(queue, candidate, by_sequence), candidate)
            if len(chosen) + len(found) == limit:
                break
        if not found:
            break
        got = holds.take(project, person, queue.key, list(found))
        still = _still_there(project, queue, [found[name].image_id for name in got])
        holds.release(project, person, [name for name in got if found[name].image_id not in still])
        chosen |= {name: one for name, one in found.items() if name in got and one.image_id in still}
        taken = taken.with_units(found)
    return chosen


def _name(queue: Queue, candidate: Candidate, by_sequence: bool) -> str:
    """A draw of single images is read image by image; a draw of sequences has a group."""
    finding = candidate.finding
    if queue.key == "cold-start" and finding is not None and finding.group is not None:
        return f"g{finding.group}"
    if queue.is_blind and finding is not None:
        by_sequence = finding.group is not None
    if by_sequence and candidate.sequence_id is not None:
        return f"s{candidate.sequence_id}"
    return f"i{candidate.image_id}"


def _still_there(project: Project, queue: Queue, image_ids: Sequence[int]) -> set[int]:
    """Somebody may have decided between our look and our hold."""
    if queue.kind:
        rows = queues.open_findings(project, queue).filter(image_id__in=image_ids)
        return set(rows.values_list("image_id", flat=True))
    states = queues.states_of(project, queue).filter(pk__in=image_ids)
    return set(states.order_by().values_list("pk", flat=True))


def _seconds_an_image(person: User) -> float | None:
    """The mean over this person's latest images; a sequence's seconds stand with its first image."""
    latest = Review.objects.filter(reviewer=person).order_by("-pk")
    spent = list(latest.values_list("seconds", flat=True)[:PACE_FROM])
    known = [seconds for seconds in spent if seconds is not None]
    return sum(known) / len(spent) if known else None
