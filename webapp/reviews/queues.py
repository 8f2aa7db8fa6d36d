"""Queues by goal: which images to look at next, and why. Each walks one index, whatever the project's size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import CharField, Exists, Func, OuterRef, Q, QuerySet

from webapp.access.models import User
from webapp.errors import NotFound
from webapp.images.facets import count_of
from webapp.images.models import ImageState
from webapp.projects.models import Label, Project
from webapp.reviews.holds import Taken
from webapp.reviews.models import NOT_A_PERSONS, Finding, Review

Kind = Finding.Kind
ReviewState = ImageState.ReviewState
Rows = QuerySet[ImageState]

COUNT_UP_TO = 10_000
CHUNK = 64
NOT_REVIEWED = Func(template=f"'{ReviewState.UNREVIEWED.value}'", output_field=CharField())
"""A word of the statement, not a parameter: SQLite then takes the index of what is not reviewed at its word, and reads
no row of the table (10,000 empties are counted in 1 ms, not 30)."""


@dataclass(frozen=True)
class Queue:
    """`kind` names the findings it is made of; without one it reads the states of images."""

    key: str
    name: str
    why: str
    kind: str = ""
    is_blind: bool = False
    for_curators: bool = False


QUEUES: dict[str, Queue] = {
    queue.key: queue
    for queue in (
        Queue("uncertain", "Least sure", "What the model is least sure of teaches it most."),
        Queue("disagrees", "Model disagrees", "The model says otherwise than the label, surest first."),
        Queue("empty", "Empties", "What the model takes for empty, surest first."),
        Queue("suspect", "Suspect labels", "Labels that look wrong beside their neighbours.", Kind.SUSPECT),
        Queue("duplicates", "Duplicates disagree", "Twins with different labels.", Kind.DUPLICATES_DISAGREE),
        Queue("looks-new", "Looks new", "Unlike anything labelled so far.", Kind.LOOKS_NEW),
        Queue("rare", "Rare labels", "Perhaps one of the labels with the fewest images.", Kind.RARE),
        Queue("cold-start", "Look-alikes", "Unlabelled pictures that look alike, a cluster at a time.", Kind.CLUSTER),
        Queue("unreviewed", "Never reviewed", "Nobody has looked at these, oldest first."),
        Queue("unmatched", "Unmatched", "No animal is named on these yet, newest first."),
        Queue("conflicts", "Conflicts", "Reviewers disagree: a curator's verdict settles it.", for_curators=True),
        Queue("audit", "Random audit", "A blind sample tells how good the labels are.", Kind.AUDIT, is_blind=True),
        Queue("second", "Second reading", "Read again by another person, blind.", Kind.SECOND, is_blind=True),
    )
}
SAME_AS = {"new": "looks-new"}
"""Names that templates of projects use."""
IF_WISHED = ("unmatched",)
"""Only where a project names them: where nobody tells animals apart, they would hold everything."""
ALWAYS = ("uncertain", "disagrees", "unreviewed")


@dataclass(frozen=True)
class Candidate:
    """One image that a queue offers, and the finding that put it there."""

    image_id: int
    sequence_id: int | None
    finding: Finding | None = None


@dataclass(frozen=True)
class Listed:
    """A queue with how many images wait in it; from `COUNT_UP_TO` on it is at least that many."""

    queue: Queue
    count: int
    is_at_least: bool


def queue_of(key: str) -> Queue:
    queue = QUEUES.get(SAME_AS.get(key, key))
    if queue is None:
        raise NotFound(f"There is no queue {key[:40]!r}. There are: {', '.join(QUEUES)}.", code="no-such-queue")
    return queue


def list_queues(project: Project) -> list[Listed]:
    """The project's own order first, then the others; those without images at the end of the list."""
    wished = project.options.get("queues") or []
    keys = list(dict.fromkeys([SAME_AS.get(key, key) for key in wished if isinstance(key, str)] + list(QUEUES)))
    return [_listed(project, QUEUES[key]) for key in keys if key in QUEUES and (key in wished or key not in IF_WISHED)]


def _listed(project: Project, queue: Queue) -> Listed:
    if queue.key == "conflicts":
        return Listed(queue, count_of(project, "review", ReviewState.CONFLICT), False)
    rows: QuerySet[Finding] | Rows = open_findings(project, queue) if queue.kind else states_of(project, queue)
    count = rows.order_by()[: COUNT_UP_TO + 1].count()
    if count > COUNT_UP_TO and queue.key in ("uncertain", "unreviewed"):
        # Nearly all of them have an answer; and the whole number says more than "many".
        return Listed(queue, count_of(project, "review", ReviewState.UNREVIEWED), False)
    return Listed(queue, min(count, COUNT_UP_TO), count > COUNT_UP_TO)


def states_of(project: Project, queue: Queue, within: Rows | None = None) -> Rows:
    """The images of a queue that reads states, in its order; `within` narrows it to a selection."""
    rows = (within.order_by() if within is not None else ImageState.objects.all()).filter(project=project)
    if queue.key == "uncertain":
        chosen = rows.filter(review_state=ReviewState.UNREVIEWED, queue_priority__gt=0)
        return chosen.order_by("-queue_priority", "-image_id")
    if queue.key == "disagrees":
        chosen = rows.filter(review_state=ReviewState.REVIEWED, queue_priority__gt=0)
        return chosen.order_by("-queue_priority", "-image_id")
    if queue.key == "empty":
        # An index for each label: with the usual one background label this is one walk.
        empty = Label.objects.filter(project=project, kind=Label.Kind.BACKGROUND, merged_into=None)
        first = empty.order_by("position", "pk").values_list("pk", flat=True).first()
        chosen = rows.filter(review_state=NOT_REVIEWED, machine_label_id=first or 0)
        return chosen.order_by("queue_priority", "image_id")
    if queue.key == "conflicts":
        return rows.filter(review_state=ReviewState.CONFLICT).order_by("-image_id")
    if queue.key == "unmatched":
        return _unmatched(rows).order_by("-image_id")
    return rows.filter(review_state=ReviewState.UNREVIEWED, failure="").order_by("image_id")


def _unmatched(rows: Rows) -> Rows:
    """Images that may show an animal whose name nobody gave. Whoever was asked here and gave none has answered."""
    asked = Review.objects.filter(image_id=OuterRef("pk"), queue="unmatched", undone_by=None)
    there = Q(label__kind=Label.Kind.NORMAL, review_state__in=(ReviewState.UNREVIEWED, ReviewState.REVIEWED))
    unknown = Q(label=None, review_state=ReviewState.UNREVIEWED)
    found = rows.filter(there | unknown, individual=None, failure="")
    return found.exclude(Exists(asked.exclude(verdict=Review.Verdict.WITHDRAWN)))


def candidates(
    project: Project, queue: Queue, reviewer: User, *, taken: Taken, within: Rows | None, by_sequence: bool
) -> Iterator[Candidate]:
    """Images of a queue in its order, without those that are taken; read in pieces."""
    sequences = taken.sequences | (taken.sequences_in_part if by_sequence else frozenset())
    if not queue.kind:
        rows = states_of(project, queue, within).filter(_free("", taken.images, sequences))
        for image_id, sequence_id in rows.values_list("image_id", "sequence_id")[:CHUNK]:
            yield Candidate(image_id, sequence_id)
        return
    found = _finding_rows(project, queue, reviewer, within).filter(_free("image__state__", taken.images, sequences))
    if queue.key == "cold-start" and taken.groups:
        found = found.exclude(group__in=taken.groups)
    for finding in found.select_related("image__state", "label")[:CHUNK]:
        yield Candidate(finding.image_id, finding.image.state.sequence_id, finding)


def _free(prefix: str, images: frozenset[int], sequences: frozenset[int]) -> Q:
    free = ~Q(image_id__in=images) if images else Q()
    if sequences:
        name = f"{prefix}sequence_id"
        free &= Q(**{f"{name}__isnull": True}) | ~Q(**{f"{name}__in": list(sequences)})
    return free


def left_in(project: Project, queue: Queue, reviewer: User, within: Rows | None) -> int:
    """How many images wait, counted up to `COUNT_UP_TO`."""
    if within is None:
        return _listed(project, queue).count
    rows = _finding_rows(project, queue, reviewer, within) if queue.kind else states_of(project, queue, within)
    return int(rows.order_by()[:COUNT_UP_TO].count())


def open_findings(project: Project, queue: Queue) -> QuerySet[Finding]:
    return Finding.objects.filter(project=project, kind=queue.kind, settled_at=None)


def _finding_rows(project: Project, queue: Queue, reviewer: User, within: Rows | None) -> QuerySet[Finding]:
    rows = open_findings(project, queue).filter(image__state__isnull=False)
    if queue.is_blind:
        rows = rows.filter(~Exists(readings_of(reviewer).filter(image_id=OuterRef("image_id"))))
    if within is not None:
        rows = rows.filter(image_id__in=within.order_by().values("pk"))
    return rows.order_by("-score", "image_id")


def readings_of(reviewer: User) -> QuerySet[Review]:
    """Verdicts of one who looked and cannot read blind again. Whoever imported labels has seen no picture."""
    own = Review.objects.filter(reviewer=reviewer, undone_by=None).exclude(verdict=Review.Verdict.WITHDRAWN)
    return own.exclude(how__in=NOT_A_PERSONS)


def drawn(project: Project, queue: Queue, image_ids: Sequence[int]) -> dict[int, Finding]:
    """The draws, open or settled, that a blind queue made of these images."""
    rows = Finding.objects.filter(project=project, kind=queue.kind, image_id__in=image_ids)
    return {finding.image_id: finding for finding in rows}
