"""What a source says of its images, as imported reviews: added in bulk, and only where it is news.

- The same labels as the newest imported ones, or as this source gave before, add nothing.
- A picture that comes twice in one import is labelled by its first line; a second that differs is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.datasets.formats.records import AnnotationRecord, Box, ImageRecord, LabelRecord
from webapp.datasets.import_words import UNSAID, Words
from webapp.datasets.models import Import
from webapp.datasets.notices import Notices
from webapp.images.models import Item, Upload
from webapp.images.states import PersonSays, Source
from webapp.projects.models import Individual, Label
from webapp.reviews.drafts import FLAGS, LONGEST_TEXT, MOST_ANNOTATIONS, MOST_COUNT
from webapp.reviews.models import Annotation, Review
from webapp.rows import insert_rows

SLACK = 1e-6
Verdict = Review.Verdict


@dataclass(frozen=True)
class Line:
    """A record and the image it speaks of."""

    path: str
    record: ImageRecord
    image_id: int
    is_new: bool


@dataclass(frozen=True)
class Outcome:
    """`fresh` is what was said of new images, by image; the states of `changed` ones are to be derived anew.

    `contradictions` are paths of the source.
    """

    reviews: int = 0
    annotations: int = 0
    fresh: Mapping[int, PersonSays] = field(default_factory=dict)
    changed: frozenset[int] = frozenset()
    contradictions: frozenset[str] = frozenset()


def speaks(record: ImageRecord) -> bool:
    return record.annotations is not None or record.cannot_tell


def claimed(record: ImageRecord, words: Words) -> str:
    """In words what the source says of an image; empty when it says nothing."""
    if not speaks(record):
        return ""
    names = list(dict.fromkeys(one.label or one.individual or UNSAID for one in record.annotations or ()))
    if names:
        return ", ".join(names)[:200]
    return "cannot tell" if record.cannot_tell else (words.background.name if words.background else "nothing")


def labels_of(records: Iterable[ImageRecord]) -> list[LabelRecord]:
    """Every label that is named, in the order of the source."""
    names = dict.fromkeys(
        one.label for record in records for one in record.annotations or () if one.label or one.individual
    )
    return [LabelRecord(name) for name in names]


def add_reviews(row: Import, words: Words, lines: Sequence[Line]) -> Outcome:
    """In the caller's transaction, which holds the states of images that were here before."""
    lines = [line for line in lines if speaks(line.record)]
    made = _Drafts(words, [line.record for line in lines])
    heard = _heard(row.upload, [line.image_id for line in lines if not line.is_new])
    known = _known_signatures(row, [line.image_id for line in lines if not line.is_new])
    contradictions: set[str] = set()
    wanted: list[tuple[Line, str, list[Annotation]]] = []
    said_here: dict[int, Any] = {}
    for line in lines:
        verdict, annotations = made.verdict(line.record), made.annotations(line.record)
        signature = _signature(verdict, annotations)
        before = known.get(line.image_id, [])
        if line.image_id in said_here or line.image_id in heard:
            first = said_here.get(line.image_id) or (before[0] if before else None)
            if signature != first:
                contradictions.add(line.path)
                words.notices.count("contradiction", line.path)
            continue
        said_here[line.image_id] = signature
        if signature not in before:
            wanted.append((line, verdict, annotations))
    return Outcome(
        reviews=_write(row, wanted),
        annotations=sum(len(annotations) for _, _, annotations in wanted),
        fresh={
            line.image_id: _says(verdict, annotations, words.background)
            for line, verdict, annotations in wanted
            if line.is_new
        },
        changed=frozenset(line.image_id for line, _, _ in wanted if not line.is_new),
        contradictions=frozenset(contradictions),
    )


def _write(row: Import, wanted: Sequence[tuple[Line, str, list[Annotation]]]) -> int:
    reviews = Review.objects.bulk_create(
        [
            Review(
                image_id=line.image_id,
                reviewer_id=row.upload.created_by_id,
                verdict=verdict,
                how=Review.How.IMPORTED,
                upload=row.upload,
                note=f"Labelled by {line.record.labelled_by}"[:LONGEST_TEXT] if line.record.labelled_by else "",
            )
            for line, verdict, _ in wanted
        ]
    )
    rows = []
    for review, (_, _, made) in zip(reviews, wanted, strict=True):
        for annotation in made:
            annotation.review = review
            rows.append(annotation)
    insert_rows(rows)
    return len(reviews)


class _Drafts:
    """Annotations of many records, with their labels and individuals looked up together."""

    def __init__(self, words: Words, records: Sequence[ImageRecord]) -> None:
        self.words = words
        named: dict[str, Label] = {}
        for record in records:
            for one in record.annotations or ():
                if one.individual.strip():
                    named.setdefault(one.individual, words.label(one.label))
        self.individuals: Mapping[str, Individual] = words.individuals(named) if named else {}

    def verdict(self, record: ImageRecord) -> str:
        return Verdict.CANNOT_TELL if record.cannot_tell else Verdict.LABELLED

    def annotations(self, record: ImageRecord) -> list[Annotation]:
        most = 1 if record.cannot_tell else MOST_ANNOTATIONS
        return [self._annotation(place, one) for place, one in enumerate((record.annotations or ())[:most])]

    def _annotation(self, place: int, one: AnnotationRecord) -> Annotation:
        box = inside(one.box, self.words.notices)
        count = one.count if isinstance(one.count, int) and 1 <= one.count <= MOST_COUNT else 1
        individual = self.individuals.get(one.individual)
        label = individual.label if individual and individual.label and not one.label else self.words.label(one.label)
        return Annotation(
            position=place,
            **dict(zip(("x", "y", "width", "height"), box or (None,) * 4, strict=True)),
            label=label,
            individual=individual,
            count=count,
            fields=self.words.fields(one),
            **{name: value for name, value in one.flags.items() if name in FLAGS},
        )


def inside(box: Box | None, notices: Notices) -> Box | None:
    """The part of a box that lies in the picture; None, and said so, where nothing of it does."""
    if box is None:
        return None
    x, y, width, height = box
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(1.0, x + width), min(1.0, y + height)
    if not (right - left > SLACK and bottom - top > SLACK):  # also false for what is not a number
        notices.count("box", f"{x:.3f}, {y:.3f}, {width:.3f}, {height:.3f}")
        return None
    return left, top, right - left, bottom - top


def _says(verdict: str, annotations: Sequence[Annotation], background: Label | None) -> PersonSays:
    """What a review says of an image's state, by the rule of `reviews.standing`."""
    if annotations:
        label_id, individual_id = annotations[0].label_id, annotations[0].individual_id
    else:
        is_empty = verdict == Verdict.LABELLED and background is not None
        label_id, individual_id = (background.pk if is_empty and background else None), None
    return PersonSays(verdict=verdict, label_id=label_id, individual_id=individual_id, source=Source.IMPORTED)


def _heard(upload: Upload, image_ids: Sequence[int]) -> set[int]:
    """Images of which an earlier chunk of this import said something."""
    rows = Item.objects.filter(upload=upload, image_id__in=image_ids).exclude(claimed_label="")
    return set(rows.values_list("image_id", flat=True))


def _known_signatures(row: Import, image_ids: Sequence[int]) -> dict[int, list[Any]]:
    """By image: what imports say of it now, the newest of all first, then the newest of this very source."""
    reviews = (
        Review.objects.filter(image_id__in=image_ids, how=Review.How.IMPORTED, undone_by__isnull=True)
        .exclude(verdict=Verdict.WITHDRAWN)
        .exclude(upload__state=Upload.State.WITHDRAWN)
        .select_related("upload__job")
        .prefetch_related("annotations")
        .order_by("image_id", "-pk")
    )
    found: dict[int, list[Any]] = defaultdict(list)
    own: set[int] = set()
    for review in reviews:
        is_own = _source_of(review) == (row.root, row.format)
        if not found[review.image_id] or (is_own and review.image_id not in own):
            found[review.image_id].append(_signature(review.verdict, list(review.annotations.all())))
        if is_own:
            own.add(review.image_id)
    return found


def _source_of(review: Review) -> tuple[str, str] | None:
    job = getattr(review.upload, "job", None)
    return (job.root, job.format) if job is not None else None


def _signature(verdict: str, annotations: Sequence[Annotation]) -> Any:
    rows = sorted(
        repr(
            (
                one.label_id,
                one.individual_id,
                one.count,
                [value if value is None else round(value, 6) for value in (one.x, one.y, one.width, one.height)],
                sorted((key, value) for key, value in one.fields.items() if value is not None),
                [getattr(one, name) for name in FLAGS],
            )
        )
        for one in annotations
    )
    return verdict, tuple(rows)
