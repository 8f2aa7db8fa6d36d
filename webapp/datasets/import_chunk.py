"""One chunk of an import: pictures stored or found, then images, labels, places, answers and items written at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.db.models import Q

from webapp.access.actors import Actor
from webapp.datasets import bulk_accept, imported_labels, sent_source
from webapp.datasets.bulk_accept import Answer, Refused, Stored, Taken
from webapp.datasets.external_results import Machine, add_predictions
from webapp.datasets.formats.records import ImageRecord
from webapp.datasets.import_places import Place, Places
from webapp.datasets.import_words import Words
from webapp.datasets.imported_labels import Line, Outcome
from webapp.datasets.known_paths import KnownPaths
from webapp.datasets.models import Import
from webapp.datasets.notices import Notices
from webapp.datasets.withdraw import revive
from webapp.images import states
from webapp.images.models import Image, Item
from webapp.images.paths import normalise_path
from webapp.images.placing import Placed, place_images
from webapp.predictions.accept import waiting_prediction
from webapp.reviews import standing
from webapp.rows import insert_rows

MISSING = "file-missing"
NOT_CLEAR = "several-images"


@dataclass
class Job:
    """What one slice of an import carries from chunk to chunk."""

    row: Import
    root: Path
    actor: Actor
    notices: Notices
    words: Words
    places: Places
    machine: Machine | None
    paths: KnownPaths
    renew: Callable[[], None]
    seen: int = 0
    met: dict[str, None] = field(default_factory=dict)
    """Labels that the records named, in their order."""


@dataclass(frozen=True)
class Prepared:
    """A chunk whose pictures are stored, found in the project, or refused; by path."""

    records: Mapping[str, ImageRecord]
    results: Mapping[str, Stored | Refused]
    found: Mapping[str, int]
    places: Mapping[str, Place]


def path_of(record: ImageRecord) -> str:
    return normalise_path(record.path)


def prepare(job: Job, chunk: Sequence[ImageRecord]) -> Prepared:
    """All that takes time, before the transaction."""
    records = {path_of(record): record for record in chunk}
    files = {path: record.file for path, record in records.items() if record.file is not None}
    results: dict[str, Stored | Refused] = {}
    results.update(
        bulk_accept.store_all(
            files, in_place=job.row.in_place, may_link=sent_source.is_sent(job.row), after_each=job.renew
        )
    )
    found: dict[str, int] = {}
    for path, record in records.items():
        if path not in results or _is_gone(results[path]):
            _find(job, path, record, results, found)
    labels = imported_labels.labels_of(records.values())
    job.met.update(dict.fromkeys(label.name for label in labels))
    job.words.declare(labels)
    by_own_path = job.places.of(records.values())
    places = {path: by_own_path[record.path] for path, record in records.items()}
    return Prepared(records, results, found, places)


def _is_gone(result: Stored | Refused) -> bool:
    return isinstance(result, Refused) and result.code == MISSING


def _find(
    job: Job, path: str, record: ImageRecord, results: dict[str, Stored | Refused], found: dict[str, int]
) -> None:
    """A picture without a file may be in the project already; else it is missing, and named."""
    known = job.paths.by_digest(record.sha256) if record.sha256 else None
    fitting = [known] if known is not None else list(job.paths.find(record.path))
    if len(fitting) == 1:
        results.pop(path, None)
        found[path] = fitting[0]
    elif fitting:
        reason = f"{len(fitting)} images of this project are called so. Give their folders as well."
        results[path] = Refused(NOT_CLEAR, reason, is_failure=True)
    else:
        job.notices.count("missing" if job.machine is None else "no-picture", record.path)
        said = record.problem or f"{path} is not there."
        results[path] = Refused(MISSING, f"{said} No image of this project has that path either.", is_failure=True)


def write(job: Job, prepared: Prepared) -> Counter[str]:
    """In the caller's transaction. Returns what to add to the import's counts."""
    upload, row = job.row.upload, job.row
    stored = {path: one for path, one in prepared.results.items() if isinstance(one, Stored)}
    parts = {path: record.part for path, record in prepared.records.items()}
    taken = bulk_accept.add_images(upload, stored, prepared.places, parts)
    taken |= {path: Taken(image_id) for path, image_id in prepared.found.items()}
    revive(upload.pk, {one.image_id for one in taken.values() if one.was_withdrawn})
    lines = [Line(path, prepared.records[path], one.image_id, one.is_new) for path, one in taken.items()]
    standing.hold(line.image_id for line in lines if not line.is_new)
    outcome = imported_labels.add_reviews(row, job.words, lines)
    states.add_states([one.image for one in taken.values() if one.image is not None], outcome.fresh)
    _complete_places(row, taken, prepared)
    standing.refresh(outcome.changed)
    answered = 0
    if job.machine is not None:
        answered = add_predictions(job.machine, job.words, {line.image_id: line.record for line in lines})
    asked = bulk_accept.ask(job.actor, [taken[path] for path in stored], waiting_prediction(row.project_id))
    items = _items(job, prepared, taken, outcome, asked)
    insert_rows(items)
    return _counted(items, outcome, answered)


def _complete_places(row: Import, taken: Mapping[str, Taken], prepared: Prepared) -> None:
    """Site, visit, burst and time for images that were here without them; what they have stands."""
    said = {
        one.image_id: prepared.places[path]
        for path, one in taken.items()
        if not one.is_new and prepared.places[path].says_something
    }
    lacking = Q(site=None) | Q(visit=None) | Q(sequence=None) | Q(captured_at="")
    images = list(Image.objects.filter(lacking, pk__in=list(said), withdrawn_at=None).order_by("pk"))
    moved = []
    for image in images:
        place = said[image.pk]
        if not image.captured_at and place.captured_at:
            image.captured_at, image.utc_offset_minutes = place.captured_at, place.utc_offset_minutes
            Image.objects.filter(pk=image.pk).update(
                captured_at=place.captured_at, utc_offset_minutes=place.utc_offset_minutes
            )
            image.captured_at_utc = place.captured_at_utc
        moved.append(
            Placed(
                image_id=image.pk,
                site_id=image.site_id or place.site_id,
                visit_id=image.visit_id or place.visit_id,
                sequence_id=image.sequence_id or place.sequence_id,
                captured_at_utc=image.captured_at_utc or place.captured_at_utc,
            )
        )
    place_images(row.project_id, moved)


def _items(
    job: Job,
    prepared: Prepared,
    taken: Mapping[str, Taken],
    outcome: Outcome,
    asked: Mapping[int, Answer],
) -> list[Item]:
    items = []
    for path, record in prepared.records.items():
        claimed = imported_labels.claimed(record, job.words)
        result = prepared.results.get(path)
        if isinstance(result, Refused):
            made = bulk_accept.item(
                job.row.upload,
                path,
                state=Item.State.FAILED if result.is_failure else Item.State.REJECTED,
                code=result.code,
                reason=result.reason,
                sha256=result.sha256,
            )
        else:
            if record.problem and record.file is not None:
                job.notices.count("entry", path)
            one = taken[path]
            state, code, reason = bulk_accept.item_state(one, asked.get(one.image_id, Answer()))
            if path in outcome.contradictions:
                reason = "The same picture came before with another label, which stands. Look at it."
            made = bulk_accept.item(
                job.row.upload,
                path,
                state=state,
                code=code,
                reason=reason or record.problem,
                image_id=one.image_id,
                stored=result,
            )
        made.part, made.claimed_label = record.part[:64], claimed[:200]
        items.append(made)
    return items


def _counted(items: Sequence[Item], outcome: Outcome, answered: int) -> Counter[str]:
    words = {
        Item.State.RECEIVED: "added",
        Item.State.DONE: "added",
        Item.State.DUPLICATE: "duplicates",
        Item.State.REJECTED: "rejected",
        Item.State.FAILED: "failed",
    }
    counted = Counter(dict.fromkeys(words.values(), 0))
    counted.update(words[Item.State(item.state)] for item in items)
    counted["files"] = len(items)
    counted["missing"] = sum(item.code == MISSING for item in items)
    counted["reviews"] = outcome.reviews
    counted["annotations"] = outcome.annotations
    counted["predictions"] = answered
    return counted
