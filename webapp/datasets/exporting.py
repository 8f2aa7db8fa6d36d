"""Hand out a project, a selection or a snapshot in a format of the field: at once into a folder, or as a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction

from training.contract import LEFT_OUT
from webapp import queue
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets import selection as selecting
from webapp.datasets.export_records import WHOSE, Withheld, head_of, records_of, records_of_snapshot
from webapp.datasets.formats import writing
from webapp.datasets.formats.job import LeftOut, Written
from webapp.datasets.formats.no_place import NoPlace
from webapp.datasets.formats.output import Output
from webapp.datasets.formats.records import ImageRecord, SourceError
from webapp.datasets.models import Export, Snapshot
from webapp.datasets.selection import Selection
from webapp.errors import Invalid
from webapp.projects.models import Project

TASK = "webapp.datasets.tasks_export.export"
FORMATS = writing.FORMATS
OPTIONS = ("with_images", "whose")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Asked:
    """What is to be exported. Without a snapshot and with an empty selection it is all images of the project."""

    project: Project
    format: str
    selection: Selection = Selection()
    snapshot: Snapshot | None = None
    whose: str = "verified"
    options: Mapping[str, Any] | None = None

    @property
    def total(self) -> int:
        if self.snapshot is not None:
            return self.snapshot.entries.exclude(part=LEFT_OUT).count()
        return selecting.images_of(self.project, self.selection).count()


def start_export(*, actor: Actor, asked: Asked) -> Export:
    """Have an io worker make it; the same questions are asked now, so that what cannot be made is refused at once."""
    check(actor, asked)
    with transaction.atomic():
        row = Export.objects.create(
            project=asked.project,
            snapshot=asked.snapshot,
            selection=selecting.as_params(asked.selection),
            format=asked.format,
            options={**(asked.options or {}), "whose": asked.whose},
            total=asked.total,
            asked_by=actor.user,
        )
        audit.record(
            actor=actor,
            action="export",
            project_id=asked.project.pk,
            subject=f"export:{row.pk}",
            format=asked.format,
            images=row.total,
        )
        queue.send(TASK, row.pk, queue="io")
    return row


def asked_of(row: Export) -> Asked:
    options = dict(row.options)
    whose = str(options.pop("whose", "verified"))
    return Asked(row.project, row.format, selecting.read(row.selection), row.snapshot, whose, options)


def check(actor: Actor, asked: Asked) -> None:
    """Whether the actor may have it, and whether it can be made at all."""
    require(actor, Action.EXPORT, asked.project)
    if asked.format not in FORMATS:
        raise Invalid(f"There is no format {asked.format!r}. There are: {', '.join(FORMATS)}.", code="no-such-format")
    if asked.whose not in WHOSE:
        raise Invalid(f"Whose labels? {asked.whose!r} is none of {', '.join(WHOSE)}.")
    if asked.snapshot is not None and asked.whose != "verified":
        raise Invalid("A snapshot holds what people verified: leave `whose` out.")
    try:
        selecting.apply(asked.project, asked.selection)
        writing.check_options(asked.format, asked.options or {})
    except SourceError as error:
        raise Invalid(str(error), code="bad-option") from error


def write_export(*, actor: Actor, asked: Asked, out: Output, progress: Progress = lambda done, total: None) -> Written:
    """Write it to `out` in one pass with flat memory; `progress` hears of images done and of their total."""
    check(actor, asked)
    withheld = Withheld()
    if asked.snapshot is not None:
        records: Iterator[ImageRecord] = records_of_snapshot(actor, asked.snapshot, withheld=withheld)
    else:
        images = selecting.images_of(asked.project, asked.selection)
        records = records_of(actor, asked.project, images, whose=asked.whose, withheld=withheld)
    head = head_of(actor, asked.project, format=asked.format)
    no_place = NoPlace(asked.format)
    try:
        written = writing.write(
            asked.format,
            head=head,
            images=no_place.watch(_counted(records, asked.total, progress)),
            out=out,
            options=dict(asked.options or {}),
        )
    except SourceError as error:
        raise Invalid(str(error), code="cannot-be-exported") from error
    written = Written(written.counts, (*written.left_out, *no_place.left_out()))
    if not withheld.count or (asked.options or {}).get("with_images") is False:
        return written
    reason = (
        "The picture says where it was taken, which your role does not see in this project: only its entry is here."
    )
    left_out = LeftOut("place-withheld", reason, withheld.count, tuple(withheld.examples))
    return Written(written.counts, (*(one for one in written.left_out if one.code != "no-file"), left_out))


def left_out_rows(written: Written) -> list[dict[str, Any]]:
    return [{**asdict(one), "examples": list(one.examples)} for one in written.left_out]


def _counted(records: Iterable[ImageRecord], total: int, progress: Progress) -> Iterator[ImageRecord]:
    done = 0
    for done, record in enumerate(records, start=1):
        yield record
        progress(done, total)
    progress(done, total)
