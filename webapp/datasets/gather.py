"""Reads a project's images with the verdicts that stand, batch by batch, as lines of a manifest without parts yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from training.contract import LEFT_OUT, ManifestAnnotation, ManifestLine
from webapp.datasets.freeze_options import FreezeOptions
from webapp.images.models import Image, Upload
from webapp.projects.models import Individual, Label, Project, Site, Visit
from webapp.reviews.models import Annotation, Review
from webapp.reviews.standing import standing_reviews

BATCH = 1000
COLUMNS = (
    "pk",
    "file__sha256",
    "file__size",
    "file__media_type",
    "file__missing_since",
    "path",
    "part",
    "site_id",
    "visit_id",
    "sequence__uid",
    "upload_id",
    "captured_at",
    "captured_at_utc",
    "camera_make",
    "camera_model",
    "camera_serial",
    "width",
    "height",
    "measured_at",
    "damaged_share",
    "brightness",
    "contrast",
    "sharpness",
    "withdrawn_at",
    "near_duplicate__cluster",
)
FLAGS = ("occluded", "truncated", "group_of", "depiction", "inside")
AUTHORS = ("author", "photographer", "owner")
SECOND_READ = "second-read"

WORDS = {
    "withdrawn": "withdrawn",
    "original-missing": "the original is not where it should be",
    "unreadable": "cannot be decoded",
    "unlabelled": "no label of a person or an import",
    "bad-image": "called a bad image",
    "damaged": "a part of the picture cannot be decoded",
    "reviewers-disagree": "reviewers disagree",
    "cannot-tell": "nobody could tell",
    "label-ignored": "a label of the kind ignore",
    "label-unknown": "a label of the kind unknown",
    "empty": "looked at and empty, and the project has no label for it",
    "no-individual": "no named individual",
    "class-too-small": "fewer images of its class than asked",
    "beyond-per-class": "more images of its class than asked",
    "beyond-count": "more images than asked",
    "not-trusted": "in a group that is tested on, with a label that is not trusted",
    "no-imported-part": "came without a part",
}
"""Why an image is not used, in words; each left-out line has one of these."""


is_viewing: ContextVar[bool] = ContextVar("is_viewing", default=False)
"""Whether this thread reads within `one_view`, and so must not write."""


@contextmanager
def one_view() -> Iterator[None]:
    """All reading inside sees one state of the database, and on SQLite holds up no writer. Nothing may be written."""
    before = is_viewing.set(True)
    try:
        with _one_view():
            yield
    finally:
        is_viewing.reset(before)


@contextmanager
def _one_view() -> Iterator[None]:
    if connection.in_atomic_block:
        yield
        return
    if connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
        return
    # Django's own transactions take SQLite's write lock; a deferred one only reads.
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")


@dataclass(frozen=True)
class Words:
    """The words of a project, read once: what rows point to by id."""

    labels: dict[int, Label]
    sites: dict[int, Site]
    visits: dict[int, Visit]
    sources: dict[int, Upload]
    background: Label | None

    def label(self, pk: int | None) -> Label | None:
        """The label, or what it was merged into."""
        found = self.labels.get(pk) if pk is not None else None
        return self.labels.get(found.merged_into_id, found) if found and found.merged_into_id else found


def words_of(project: Project) -> Words:
    labels = {one.pk: one for one in Label.objects.filter(project=project).order_by("position", "pk")}
    standing = (one for one in labels.values() if one.kind == Label.Kind.BACKGROUND and one.merged_into_id is None)
    return Words(
        labels=labels,
        sites={one.pk: one for one in Site.objects.filter(project=project)},
        visits={one.pk: one for one in Visit.objects.filter(project=project)},
        sources={one.pk: one for one in Upload.objects.filter(project=project).defer("side_files")},
        background=next(standing, None),
    )


def gathered(project: Project, words: Words, options: FreezeOptions) -> Iterator[ManifestLine]:
    """A line for every image, by id; `part` is empty where the image may be used, else LEFT_OUT with the reason."""
    yield from lines_of(Image.objects.filter(project=project), words, options)


def lines_of(images: QuerySet[Image], words: Words, options: FreezeOptions) -> Iterator[ManifestLine]:
    """The same for some images of a project."""
    after = 0
    while True:
        rows = images.filter(pk__gt=after).order_by("pk").values_list(*COLUMNS)[:BATCH]
        batch = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        if not batch:
            return
        yield from _lines(batch, words, options)
        after = batch[-1]["pk"]


def _lines(batch: Sequence[dict[str, Any]], words: Words, options: FreezeOptions) -> Iterator[ManifestLine]:
    reviews = standing_reviews([row["pk"] for row in batch])
    drawn = _annotations([review for some in reviews.values() for review in some])
    named = _individuals({one.individual_id for some in drawn.values() for one in some if one.individual_id})
    for row in batch:
        yield _line(row, _said(reviews.get(row["pk"], []), drawn, named, words, row), words, options)


def _annotations(reviews: Sequence[Review]) -> dict[int, list[Annotation]]:
    found: dict[int, list[Annotation]] = defaultdict(list)
    rows = Annotation.objects.filter(review_id__in=[review.pk for review in reviews])
    for one in rows.order_by("review_id", "position"):
        found[one.review_id].append(one)
    return found


def _individuals(wanted: set[int]) -> dict[int, Individual]:
    rows = Individual.objects.filter(pk__in=wanted).select_related("merged_into")
    return {one.pk: one.merged_into or one for one in rows}


@dataclass(frozen=True)
class _Said:
    """What people say of one image, in the words of a manifest."""

    review: Review | None = None
    how: str = ""
    label: Label | None = None
    annotations: tuple[ManifestAnnotation, ...] = ()
    individual: str = ""
    author: str = ""
    is_disputed: bool = False
    is_trusted: bool = False


def _said(
    reviews: Sequence[Review],
    drawn: dict[int, list[Annotation]],
    named: dict[int, Individual],
    words: Words,
    row: dict[str, Any],
) -> _Said:
    if not reviews:
        return _Said()
    newest = reviews[0]
    mine = drawn.get(newest.pk, [])
    views = {(one.verdict, _first_label(one, drawn.get(one.pk, []), words)) for one in reviews}
    label = words.label(_first_label(newest, mine, words))
    annotations = tuple(_annotation(one, words, named) for one in mine)
    agreed = len(views) == 1
    people = {one.reviewer_id for one in reviews if one.how not in (Review.How.RULE, Review.How.IMPORTED)}
    second = agreed and (any(one.second_reading for one in reviews) or len(people) > 1)
    fields = [newest.fields, *(one.fields for one in mine)]
    author = next((str(some[key]) for some in fields for key in AUTHORS if some.get(key)), "")
    blind = any(one.how == Review.How.BLIND for one in reviews)
    imported = newest.how == Review.How.IMPORTED and _trusts(words.sources.get(newest.upload_id or row["upload_id"]))
    return _Said(
        review=newest,
        how=SECOND_READ if second else newest.how,
        label=label,
        annotations=annotations,
        individual=next((one.individual for one in annotations if one.individual), ""),
        author=author,
        is_disputed=not agreed,
        is_trusted=agreed and (second or blind or imported),
    )


def _first_label(review: Review, annotations: Sequence[Annotation], words: Words) -> int | None:
    """What names the image: the first annotation's label, or of an empty one the background's."""
    if annotations:
        label = words.label(annotations[0].label_id)
    else:
        label = words.background if review.verdict == Review.Verdict.LABELLED else None
    return label.pk if label is not None else None


def _trusts(upload: Upload | None) -> bool:
    """Imported labels are taken at their word, unless whoever imported them said otherwise."""
    return upload is None or upload.options.get("trusted", True) is not False


def _annotation(one: Annotation, words: Words, named: dict[int, Individual]) -> ManifestAnnotation:
    label, individual = words.label(one.label_id), named.get(one.individual_id or 0)
    has_box = one.x is not None and one.y is not None and one.width is not None and one.height is not None
    return ManifestAnnotation(
        label=label.key if label else None,
        box=(float(one.x or 0), float(one.y or 0), float(one.width or 0), float(one.height or 0)) if has_box else None,
        count=one.count,
        individual=str(individual.uid) if individual else "",
        individual_name=individual.name if individual else "",
        flags={flag: getattr(one, flag) for flag in FLAGS if getattr(one, flag) is not None},
        fields=one.fields,
    )


def _reason(row: dict[str, Any], said: _Said, options: FreezeOptions) -> str:
    """Why the image cannot be used, or nothing."""
    verdict = said.review.verdict if said.review else ""
    kind = said.label.kind if said.label else ""
    tells = verdict != Review.Verdict.CANNOT_TELL or (options.cannot_tell == "ancestor" and said.label is not None)
    checks = (
        ("withdrawn", row["withdrawn_at"] is not None),
        ("original-missing", row["file__missing_since"] is not None),
        ("unlabelled", said.review is None),
        ("bad-image", verdict == Review.Verdict.BAD_IMAGE),
        ("reviewers-disagree", said.is_disputed),
        ("cannot-tell", not tells),
        ("unreadable", row["measured_at"] is None),
        ("damaged", bool(row["damaged_share"]) and not options.damaged),
        ("label-ignored", kind == Label.Kind.IGNORE),
        ("label-unknown", kind == Label.Kind.UNKNOWN and not options.unknown),
        ("empty", said.label is None and not options.negatives),
    )
    return next((code for code, holds in checks if holds), "")


def _line(row: dict[str, Any], said: _Said, words: Words, options: FreezeOptions) -> ManifestLine:
    site, visit = words.sites.get(row["site_id"] or 0), words.visits.get(row["visit_id"] or 0)
    reason, review, source = _reason(row, said, options), said.review, words.sources[row["upload_id"]]
    camera = row["camera_serial"] or f"{row['camera_make']} {row['camera_model']}".strip()
    utc = row["captured_at_utc"]
    return ManifestLine(
        image=row["pk"],
        sha256=row["file__sha256"],
        part=LEFT_OUT if reason else "",
        left_out=reason,
        path=row["path"],
        label=said.label.key if said.label else None,
        annotations=said.annotations,
        individual=said.individual,
        how=said.how,
        trusted=said.is_trusted,
        cannot_tell=review is not None and review.verdict == Review.Verdict.CANNOT_TELL,
        review=str(review.uid) if review else "",
        sampling_probability=review.sampling_probability if review else None,
        fields=review.fields if review else {},
        cluster=row["near_duplicate__cluster"],
        sequence=str(row["sequence__uid"] or ""),
        site=str(site.uid) if site else "",
        site_name=site.name if site else "",
        visit=str(visit.uid) if visit else "",
        visit_name=visit.name if visit else "",
        source=str(source.uid),
        imported_part=row["part"],
        author=said.author,
        camera=camera,
        captured_at=row["captured_at"],
        captured_at_utc=utc.isoformat() if utc else "",
        width=row["width"],
        height=row["height"],
        size=row["file__size"],
        media_type=row["file__media_type"],
        damaged=row["damaged_share"] or 0.0,
        brightness=row["brightness"],
        contrast=row["contrast"],
        sharpness=row["sharpness"],
    )
