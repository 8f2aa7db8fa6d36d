"""A project's images as records of the exchange formats: what people say, what machines say, where and when.

Records come by image id in batches, so that memory stays flat. What the reader may not see of a place is not in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from training.contract import LEFT_OUT, ManifestAnnotation, ManifestLine
from webapp.access.actors import Actor
from webapp.datasets import manifest
from webapp.datasets.formats.records import (
    AnnotationRecord,
    Box,
    DetectionRecord,
    Head,
    ImageRecord,
    LabelRecord,
    MachineRecord,
    SiteRecord,
    VisitRecord,
)
from webapp.datasets.models import Snapshot
from webapp.images.models import Image
from webapp.images.store import open_original
from webapp.images.times import clock_zone, zone_of
from webapp.predictions.live import ANSWERS
from webapp.predictions.models import Prediction, Region
from webapp.projects.models import Label, Project
from webapp.projects.place_rule import PlaceRule
from webapp.reviews.drafts import FLAGS
from webapp.reviews.models import Annotation, Review
from webapp.reviews.said import VerdictSaid, label_now, verdicts_said

CHUNK = 500
EXAMPLES = 20
COORDINATES_IN_FILE = "place-withheld"
MACHINE = "machine"

WHOSE = ("verified", "all", "machine")
"""Labels that people gave; those, and the machine's where nobody looked; the machine's alone."""


@dataclass
class Withheld:
    """Pictures that are not handed out, since the file says more of its place than the reader may see."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(path)


def head_of(actor: Actor, project: Project, *, format: str) -> Head:
    """The words of the project as the reader may see them: labels, sites, visits, the model that speaks."""
    rule = PlaceRule(actor, project)
    return Head(
        format=format,
        name=project.name,
        labels=tuple(_label_records(project)),
        sites=tuple(_site_records(project, rule)),
        visits=tuple(_visit_records(project)),
        machine=_machine(project),
        more={"project": project.slug, "description": project.description, "time_zone": project.time_zone},
    )


def records_of(
    actor: Actor, project: Project, images: QuerySet[Image], *, whose: str = "verified", withheld: Withheld
) -> Iterator[ImageRecord]:
    """Records of these images by id."""
    batches = _Batches(PlaceRule(actor, project), project, whose, withheld)
    after = 0
    while found := list(_joined(images.filter(pk__gt=after)).order_by("pk")[:CHUNK]):
        yield from batches.records(found)
        after = found[-1].pk


def records_of_snapshot(actor: Actor, snapshot: Snapshot, *, withheld: Withheld) -> Iterator[ImageRecord]:
    """Records of a snapshot: parts, labels and boxes as they were frozen. Left-out images are not among them."""
    head, lines = manifest.read(snapshot)
    names = {label.key: label.name for label in head.labels}
    batches = _Batches(PlaceRule(actor, snapshot.project), snapshot.project, "verified", withheld)
    part: list[ManifestLine] = []
    for line in lines:
        if line.part == LEFT_OUT:
            continue
        part.append(line)
        if len(part) >= CHUNK:
            yield from batches.frozen(part, names)
            part = []
    yield from batches.frozen(part, names)


@dataclass(frozen=True)
class _Batches:
    """Turns batches of rows into records, with a few queries for each batch."""

    rule: PlaceRule
    project: Project
    whose: str
    withheld: Withheld

    def records(self, images: Sequence[Image]) -> Iterator[ImageRecord]:
        ids = [image.pk for image in images]
        said = verdicts_said(ids) if self.whose != MACHINE else {}
        answers = _answers(ids)
        for image in images:
            verdicts, answer = said.get(image.pk), answers.get(image.pk)
            yield self._record(image, verdicts[0] if verdicts else None, answer)

    def frozen(self, lines: Sequence[ManifestLine], names: Mapping[str, str]) -> Iterator[ImageRecord]:
        images = {image.pk: image for image in _joined(Image.objects.filter(pk__in=[line.image for line in lines]))}
        for line in lines:
            image = images.get(line.image)
            if image is None:
                continue
            annotations = tuple(_frozen_annotation(one, names) for one in line.annotations)
            yield ImageRecord(
                **self._of_image(image, part=line.part),
                annotations=annotations,
                cannot_tell=line.cannot_tell,
                how=line.how,
            )

    def _record(self, image: Image, verdict: VerdictSaid | None, answer: _Answer | None) -> ImageRecord:
        told: dict[str, Any] = {"detections": answer.detections if answer else None}
        if answer is not None and answer.failure:
            told = {"failure": answer.failure}
        if verdict is not None:
            told |= _of_verdict(verdict)
        elif self.whose != "verified" and answer is not None and not answer.failure:
            told |= {"annotations": answer.annotations, "how": MACHINE, "labelled_by": answer.version}
        return ImageRecord(**self._of_image(image, part=image.part), **told)

    def _of_image(self, image: Image, *, part: str) -> dict[str, Any]:
        return {
            "path": image.path or f"{image.file.sha256[:16]}{Path(image.file.storage_key).suffix}",
            "file": self._file(image),
            "part": part,
            "width": image.width,
            "height": image.height,
            "site": image.site.name if image.site else "",
            "visit": image.visit.name if image.visit else "",
            "sequence": (image.sequence.name or str(image.sequence.uid)) if image.sequence else "",
            "captured_at": _captured_at(image, self.project),
            "sha256": image.file.sha256,
            "more": {
                "id": image.pk,
                "camera": " ".join(filter(None, (image.camera_make, image.camera_model))),
                "media_type": image.file.media_type,
            },
        }

    def _file(self, image: Image) -> Path | None:
        sensitive = image.site is not None and image.site.sensitive
        if self.rule.shown(image, sensitive=sensitive).coordinates in ("coarse", "withheld"):
            self.withheld.add(image.path)
            return None
        path = open_original(image.file)
        return path if path.is_file() else None


@dataclass(frozen=True)
class _Answer:
    """The live answer of an image as formats hold it."""

    version: str
    detections: tuple[DetectionRecord, ...]
    annotations: tuple[AnnotationRecord, ...]
    failure: str = ""


def _answers(ids: Sequence[int]) -> dict[int, _Answer]:
    """By image its live answer, the newest where there were several pipelines, else somebody else's results."""
    rows = (
        Prediction.objects.filter(image_id__in=ids, state__in=[Prediction.State.DONE, Prediction.State.FAILED])
        .exclude(purpose=Prediction.Purpose.MEASURE)
        .select_related("pipeline__classifier", "pipeline__detector", "pipeline__external")
        .order_by("image_id", "done_at", "pk")
    )
    newest: dict[int, Prediction] = {}
    for row in rows:
        held = newest.get(row.image_id)
        if held is None or _rank(row) >= _rank(held):
            newest[row.image_id] = row
    regions: dict[int, list[Region]] = {}
    found = Region.objects.filter(prediction__in=list(newest.values())).select_related("label")
    for region in found.defer("scores").order_by("prediction_id", "position"):
        regions.setdefault(region.prediction_id, []).append(region)
    return {image_id: _answer(row, regions.get(row.pk, [])) for image_id, row in newest.items()}


def _rank(row: Prediction) -> int:
    """An answer goes before what was said beside it; that a pipeline failed when it was asked again says nothing."""
    if row.purpose == Prediction.Purpose.HISTORY and row.state == Prediction.State.FAILED:
        return -1
    return int(row.purpose in ANSWERS)


def _answer(row: Prediction, regions: Sequence[Region]) -> _Answer:
    parts = row.pipeline
    version = parts.classifier or parts.external or parts.detector
    name = version.name if version else str(parts)
    if row.state == Prediction.State.FAILED:
        return _Answer(name, (), (), row.code or "failed")
    return _Answer(
        name,
        tuple(_detection(region) for region in regions),
        tuple(
            AnnotationRecord(label=region.label.name if region.label else region.label_key, box=_box(region))
            for region in regions
            if not (region.label and region.label.kind == Label.Kind.BACKGROUND)
        ),
    )


def _detection(region: Region) -> DetectionRecord:
    """A box with what it is; of a picture without a detector, the whole image and its best label."""
    name = region.label.name if region.label else region.label_key
    scores = ((name, round(region.score, 5)),) if name and region.score is not None else ()
    return DetectionRecord(
        category=region.detection_label or ("animal" if _box(region) else name),
        confidence=region.detection_score if region.detection_score is not None else (region.score or 0.0),
        box=_box(region),
        scores=scores,
    )


def _of_verdict(verdict: VerdictSaid) -> dict[str, Any]:
    review = verdict.review
    told: dict[str, Any] = {
        "how": review.how,
        "labelled_by": review.reviewer.get_username() if review.reviewer else "",
        "cannot_tell": review.verdict == Review.Verdict.CANNOT_TELL,
    }
    if review.verdict != Review.Verdict.BAD_IMAGE:
        told["annotations"] = tuple(_annotation(one) for one in verdict.annotations)
    return told


def _annotation(one: Annotation) -> AnnotationRecord:
    label = label_now(one.label)
    return AnnotationRecord(
        label=label.name if label else "",
        box=_box(one),
        count=one.count,
        individual=one.individual.name if one.individual else "",
        fields=one.fields,
        flags={name: getattr(one, name) for name in FLAGS if getattr(one, name) is not None},
    )


def _frozen_annotation(one: ManifestAnnotation, names: Mapping[str, str]) -> AnnotationRecord:
    return AnnotationRecord(
        label=names.get(one.label or "", one.label or ""),
        box=one.box,
        count=one.count,
        individual=one.individual_name,
        fields=one.fields,
        flags=dict(one.flags),
    )


def _box(row: Region | Annotation) -> Box | None:
    if row.x is None or row.y is None or row.width is None or row.height is None:
        return None
    return row.x, row.y, row.width, row.height


def _captured_at(image: Image, project: Project) -> str:
    """With its offset in the zone of the site, by the repaired clock; what the camera wrote where that is all."""
    if image.captured_at_utc is None:
        return image.captured_at
    zone = zone_of(clock_zone(image.visit, image.site, project))
    return image.captured_at_utc.astimezone(zone).isoformat()


def _joined(images: QuerySet[Image]) -> QuerySet[Image]:
    return images.select_related("file", "site", "visit", "sequence")


def _label_records(project: Project) -> Iterator[LabelRecord]:
    rows = project.labels.filter(merged_into=None).select_related("parent").prefetch_related("names")
    for label in rows:
        yield LabelRecord(
            name=label.name,
            scientific_name=label.scientific_name,
            kind=label.kind,
            parent=label.parent.name if label.parent else "",
            synonyms=tuple(name.name for name in label.names.all()),
            outside_ids={str(key): str(value) for key, value in label.outside_ids.items()},
        )


def _site_records(project: Project, rule: PlaceRule) -> Iterator[SiteRecord]:
    for site in project.sites.order_by("name", "pk"):
        place = rule.shown(site, sensitive=site.sensitive)
        exact = place.coordinates == "exact"
        yield SiteRecord(
            name=site.name,
            latitude=place.latitude,
            longitude=place.longitude,
            coordinate_uncertainty_m=site.coordinate_uncertainty_m if exact else rule.uncertainty_m(place),
            time_zone=site.time_zone or project.time_zone,
            notes=site.notes,
        )


def _visit_records(project: Project) -> Iterator[VisitRecord]:
    for visit in project.visits.select_related("site").order_by("site__name", "start", "pk"):
        yield VisitRecord(
            name=visit.name,
            site=visit.site.name if visit.site else "",
            start=visit.start and visit.start.astimezone(UTC),
            end=visit.end and visit.end.astimezone(UTC),
            device=visit.device,
            effort=visit.effort,
            effort_unit=visit.effort_unit,
            notes=visit.notes,
        )


def _machine(project: Project) -> MachineRecord | None:
    newest = project.activations.filter(slot="live").select_related("pipeline__classifier", "pipeline__detector")
    activation = newest.order_by("-pk").first()
    if activation is None or activation.pipeline is None:
        return None
    parts = activation.pipeline
    return MachineRecord(
        detector=parts.detector.name if parts.detector else "",
        classifier=parts.classifier.name if parts.classifier else "",
    )
