"""Which images of a project: the filters of the grid, the same for pages, REST, bulk acts, exports and links.

Every filter walks an index of ImageState in the order asked for, but for the search in paths: lists go through it a
piece at a time (`narrowed_by_text`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Exists, OuterRef, Q, QuerySet

from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.errors import Invalid, NotFound
from webapp.images.models import Image, ImageState, Sequence, Upload
from webapp.predictions.models import Prediction
from webapp.projects.labels import label_by_key_or_name
from webapp.projects.models import Individual, Label, Project, Site, Visit
from webapp.reviews import quality
from webapp.reviews.models import Finding, NearDuplicate
from webapp.reviews.near_duplicates import clusters_of
from webapp.versions.models import Pipeline

ORDERS: dict[str, tuple[str, ...]] = {
    "newest": ("-image_id",),
    "oldest": ("image_id",),
    "captured": ("captured_at_utc", "image_id"),
    "least-sure": ("score", "image_id"),
    "priority": ("-queue_priority", "-image_id"),
}
NOTHING = "-"
"""Stands for "has none" where a filter names a row: no label, no site. `none` does too, unless a label has that key."""
ANY = "any"
"""As a cluster of near-duplicates: whichever."""
VERIFIED = "verified"
"""As a source: what people said, here or where an import comes from."""
LONGEST = 200
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

Rows = QuerySet[ImageState]


@dataclass(frozen=True)
class Selection:
    """Filters as they stand in an address; '' or None leaves one out. Keys and uids are text until they are applied."""

    label: str = ""
    machine_label: str = ""
    individual: str = ""
    source: str = ""
    review_state: str = ""
    site: str = ""
    visit: str = ""
    sequence: str = ""
    upload: str = ""
    part: str = ""
    above: float | None = None
    below: float | None = None
    captured_from: str = ""
    captured_to: str = ""
    version: int | None = None
    failed: bool | None = None
    damaged: bool | None = None
    timed: bool | None = None
    finding: str = ""
    group: int | None = None
    cluster: int | str | None = None
    quality: str = ""
    snapshot: str = ""
    snapshot_part: str = ""
    text: str = ""
    order: str = "newest"

    @property
    def is_everything(self) -> bool:
        return self == Selection(order=self.order)


NAMES = tuple(field.name for field in fields(Selection))
CHOICES: dict[str, tuple[str, ...]] = {
    "source": (*ImageState.Source.values, VERIFIED),
    "review_state": tuple(ImageState.ReviewState.values),
    "finding": tuple(Finding.Kind.values),
    "quality": quality.KINDS,
    "order": tuple(ORDERS),
}
UIDS = ("individual", "site", "visit", "sequence", "upload", "snapshot")
MAY_BE_NOTHING = ("individual", "site", "visit", "sequence")


def read(params: Mapping[str, Any], *, besides: tuple[str, ...] = ()) -> Selection:
    """Filters from an address or from JSON. A name that is none, or a value that cannot be meant, is an error."""
    unknown = sorted(set(params) - set(NAMES) - set(besides))
    if unknown:
        raise Invalid(f"There is no filter {unknown[0]!r}. There are: {', '.join(NAMES)}.", code="no-such-filter")
    values: dict[str, Any] = {}
    for name in NAMES:
        given = params.get(name)
        if given is not None and given != "":
            values[name] = _value(name, given)
    return Selection(**values)


def as_params(selection: Selection) -> dict[str, str]:
    """The filters that are set, as an address has them; `read` makes the same selection of it."""
    words: dict[str, str] = {}
    for field in fields(Selection):
        value = getattr(selection, field.name)
        if value != field.default:
            words[field.name] = {True: "1", False: "0"}[value] if isinstance(value, bool) else str(value)
    return words


def _value(name: str, given: Any) -> Any:
    text = str(given).strip()
    if len(text) > LONGEST:
        raise _unfit(name, text, f"at most {LONGEST} characters")
    if name in ("above", "below"):
        return _number(name, text)
    if name == "cluster" and text == ANY:
        return text
    if name in ("version", "group", "cluster"):
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise _unfit(name, text, "a whole number")
        return int(text)
    if name in ("failed", "damaged", "timed"):
        if text.lower() not in YES + NO:
            raise _unfit(name, text, "1 or 0")
        return text.lower() in YES
    if name in CHOICES and text not in CHOICES[name]:
        raise _unfit(name, text, f"one of {', '.join(CHOICES[name])}")
    if name in UIDS and not (name in MAY_BE_NOTHING and text == NOTHING):
        return _uid(name, text)
    if name in ("captured_from", "captured_to"):
        _moment(name, text, UTC)
    return text


def _unfit(name: str, text: str, wanted: str) -> Invalid:
    return Invalid(f"The filter {name}={text[:80]!r} does not fit: it takes {wanted}.", code="bad-filter")


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise _unfit(name, text, "a score from 0 to 1")
    return number


def _uid(name: str, text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise _unfit(name, text, "an id such as 5c6f0f54-6f0c-4a64-9d0e-6a1f7f0e8a11") from None


def _moment(name: str, text: str, zone: Any) -> datetime:
    """A day or a moment; a day that ends a range is meant to its end. Without an offset the project's zone holds."""
    try:
        if len(text) == len("2026-05-01"):
            day = date.fromisoformat(text) + timedelta(days=name == "captured_to")
            return datetime.combine(day, time.min, tzinfo=zone)
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    except (ValueError, OverflowError):
        raise _unfit(name, text, "a day (2026-05-01) or a moment (2026-05-01T06:00:00Z)") from None


def apply(project: Project, selection: Selection) -> Rows:
    """The states of the chosen images, in the order asked for; page through them by the keys of `ORDERS`."""
    rows = ImageState.objects.filter(project=project)
    for name, narrow in FILTERS.items():
        value = getattr(selection, name)
        if value is not None and value != "":
            rows = narrow(rows, project, value)
    if selection.group is not None and selection.finding == "":
        raise Invalid("`group` numbers the groups of one kind of finding: name it with `finding`.", code="bad-filter")
    if selection.finding:
        rows = _of_finding(rows, project, selection.finding, selection.group)
    if selection.snapshot:
        rows = _of_snapshot(rows, project, selection.snapshot, selection.snapshot_part)
    if selection.order == "captured":
        rows = rows.filter(captured_at_utc__isnull=False)
    if selection.order == "least-sure":
        rows = rows.filter(score__isnull=False)
    if selection.order == "priority" and not selection.review_state:
        rows = rows.filter(review_state=ImageState.ReviewState.UNREVIEWED)
    if selection.text:
        rows = narrowed_by_text(rows, selection.text)
    return rows.order_by(*ORDERS[selection.order])


def _by_label(column: str) -> Callable[[Rows, Project, str], Rows]:
    def narrow(rows: Rows, project: Project, key: str) -> Rows:
        nothing = key == NOTHING or (
            key == "none" and not Label.objects.filter(project=project, key="none", merged_into=None).exists()
        )
        label = None if nothing else label_by_key_or_name(project, key)
        return rows.filter(**{f"{column}__isnull": True}) if label is None else rows.filter(**{column: label})

    return narrow


def _by_row(column: str, model: type[Site | Visit | Individual | Sequence | Upload]) -> Callable[..., Rows]:
    word = model._meta.verbose_name

    def narrow(rows: Rows, project: Project, uid: str) -> Rows:
        if uid == NOTHING:
            return rows.filter(**{f"{column}__isnull": True})
        pk = model._default_manager.filter(project=project, uid=uid).values_list("pk", flat=True).first()
        if pk is None:
            raise NotFound(f"The project {project.slug} has no {word} {uid}.")
        return rows.filter(**{f"{column}_id": pk})

    return narrow


def _exact(column: str) -> Callable[[Rows, Project, Any], Rows]:
    return lambda rows, _, value: rows.filter(**{column: value})


def _of_source(rows: Rows, _: Project, value: str) -> Rows:
    people = (ImageState.Source.HUMAN, ImageState.Source.IMPORTED)
    return rows.filter(source__in=people) if value == VERIFIED else rows.filter(source=value)


def _of_quality(rows: Rows, project: Project, kind: str) -> Rows:
    return rows.filter(damaged=True) if kind == "damaged" else rows.filter(quality.conditions(kind, project=project))


def _of_failure(rows: Rows, _: Project, failed: bool) -> Rows:
    # `<> ''` and not `> ''`, so that the partial index of failures is seen to fit.
    return rows.filter(~Q(failure="")) if failed else rows.filter(failure="")


def _captured(step: str, name: str) -> Callable[[Rows, Project, str], Rows]:
    def narrow(rows: Rows, project: Project, text: str) -> Rows:
        return rows.filter(**{f"captured_at_utc__{step}": _moment(name, text, _zone(project))})

    return narrow


def _zone(project: Project) -> Any:
    try:
        return ZoneInfo(project.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _of_version(rows: Rows, project: Project, version: int) -> Rows:
    """Images that a version answered, alone or as a part of a pipeline."""
    parts = Q(detector=version) | Q(classifier=version) | Q(identifier=version) | Q(external=version)
    pipelines = list(Pipeline.objects.filter(parts, project=project).values_list("pk", flat=True))
    answers = Prediction.objects.filter(pipeline_id__in=pipelines, state=Prediction.State.DONE)
    if not answers.exists():
        return rows.none()
    return rows.filter(Exists(answers.filter(image_id=OuterRef("pk"))))


def _of_finding(rows: Rows, project: Project, kind: str, group: int | None) -> Rows:
    found = Finding.objects.filter(project=project, kind=kind, settled_at=None)
    if group is not None:
        found = found.filter(group=group)
    return rows.filter(pk__in=found.values("image_id"))


def _of_cluster(rows: Rows, project: Project, cluster: int | str) -> Rows:
    found = NearDuplicate.objects.filter(project=project)
    of_any = cluster == ANY
    chosen = (
        found.filter(cluster__in=clusters_of(project).values("cluster")) if of_any else found.filter(cluster=cluster)
    )
    return rows.filter(pk__in=chosen.values("image_id"))


def _of_time(rows: Rows, _: Project, timed: bool) -> Rows:
    return rows.filter(captured_at_utc__isnull=not timed)


def _of_snapshot(rows: Rows, project: Project, uid: str, part: str) -> Rows:
    snapshot = Snapshot.objects.filter(project=project, uid=uid).values_list("pk", flat=True).first()
    if snapshot is None:
        raise NotFound(f"The project {project.slug} has no snapshot {uid}.")
    entries = SnapshotEntry.objects.filter(snapshot_id=snapshot, image_id=OuterRef("pk"))
    return rows.filter(Exists(entries.filter(part=part) if part else entries))


def narrowed_by_text(rows: Rows, text: str, *, ids: tuple[int | None, int | None] | None = None) -> Rows:
    """No index serves a part of a path, so each of `rows` may have to be looked at.

    Where `rows` are those within a range of `ids` (None: open at that end), just these paths are read, in their order.
    """
    if ids is None:
        return rows.filter(image__path__icontains=text)
    images, (least, most) = Image.objects.filter(path__icontains=text), ids
    images = images.filter(pk__gte=least) if least is not None else images
    images = images.filter(pk__lte=most) if most is not None else images
    return rows.filter(pk__in=images.values("pk"))


FILTERS: dict[str, Callable[[Rows, Project, Any], Rows]] = {
    "label": _by_label("label"),
    "machine_label": _by_label("machine_label"),
    "individual": _by_row("individual", Individual),
    "source": _of_source,
    "review_state": _exact("review_state"),
    "site": _by_row("site", Site),
    "visit": _by_row("visit", Visit),
    "sequence": _by_row("sequence", Sequence),
    "upload": _by_row("upload", Upload),
    "part": _exact("image__part"),
    "above": _exact("score__gte"),
    "below": _exact("score__lt"),
    "captured_from": _captured("gte", "captured_from"),
    "captured_to": _captured("lt", "captured_to"),
    "version": _of_version,
    "failed": _of_failure,
    "damaged": _exact("damaged"),
    "timed": _of_time,
    "cluster": _of_cluster,
    "quality": _of_quality,
}


def image_ids(project: Project, selection: Selection, *, at_most: int) -> list[int]:
    """The chosen images, if they are not more than `at_most`."""
    found = list(apply(project, selection).values_list("pk", flat=True)[: at_most + 1])
    if len(found) > at_most:
        raise Invalid(
            f"The selection holds more than {at_most:,} images: narrow it, or do it in parts.", code="too-many-images"
        )
    return found


def images_of(project: Project, selection: Selection) -> QuerySet[Image]:
    """The images themselves, for readers that stream by id."""
    return Image.objects.filter(pk__in=apply(project, selection).order_by().values("pk"), withdrawn_at=None)
