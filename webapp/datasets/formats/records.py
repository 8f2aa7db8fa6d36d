"""What every format is read into and written from: one record an image, and a head that names the words.

Readers yield records in a stable order, so that a cursor (how many were dealt with) can go on after a restart; memory
stays flat however long the source is. Paths have forward slashes and are relative to the source's folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

Box = tuple[float, float, float, float]
"""x, y, width, height as shares of the upright image, origin top left."""


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """A word of the source. `name` as the source spells it; `parent` is another's name."""

    name: str
    scientific_name: str = ""
    kind: str = "normal"
    parent: str = ""
    synonyms: tuple[str, ...] = ()
    outside_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """Where pictures were taken."""

    name: str
    latitude: float | None = None
    longitude: float | None = None
    coordinate_uncertainty_m: int | None = None
    time_zone: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """One deployment, trip or encounter. Times are aware; `site` is a SiteRecord's name."""

    name: str
    site: str = ""
    start: datetime | None = None
    end: datetime | None = None
    device: str = ""
    effort: float | None = None
    effort_unit: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class AnnotationRecord:
    """One animal or group as somebody labelled it; no box means somewhere in the image."""

    label: str
    box: Box | None = None
    count: int = 1
    individual: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DetectionRecord:
    """One box (or, with none, the whole image) as a machine answered. `scores` are of its second step, best first."""

    category: str
    confidence: float
    box: Box | None = None
    scores: tuple[tuple[str, float], ...] = ()
    frame_number: int | None = None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image. `annotations` None: nobody labelled it; empty: somebody looked, and there is nothing.

    `file` is where its bytes can be read, None where the source only names it. `captured_at` is naive ISO text as the
    camera wrote it, or aware with its offset. `detections` None: no machine looked; `failure`: why one could not.
    `problem`: what is wrong with this image's entry, in words for a person: no file, a file outside, a bad box.
    """

    path: str
    file: Path | None = None
    part: str = ""
    annotations: tuple[AnnotationRecord, ...] | None = None
    cannot_tell: bool = False
    width: int | None = None
    height: int | None = None
    site: str = ""
    visit: str = ""
    sequence: str = ""
    captured_at: str = ""
    detections: tuple[DetectionRecord, ...] | None = None
    failure: str = ""
    sha256: str = ""
    labelled_by: str = ""
    how: str = ""
    problem: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """Whose results these are: name and version of a detector and a classifier, as the file says."""

    detector: str = ""
    classifier: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """What a source says of itself before its images. `notices` are words for the person who imports."""

    format: str
    name: str = ""
    licence: str = ""
    source: str = ""
    labels: tuple[LabelRecord, ...] = ()
    sites: tuple[SiteRecord, ...] = ()
    visits: tuple[VisitRecord, ...] = ()
    machine: MachineRecord | None = None
    notices: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forecast:
    """How much is to come, from one quick look. `images` is exact, `size_bytes` what the files weigh together.

    `parts`, `labels` and `individuals` count images.
    """

    images: int
    size_bytes: int
    missing: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    individuals: Mapping[str, int] = field(default_factory=dict)


class Source(Protocol):
    """A source opened for reading; opening it twice yields the same records in the same order."""

    @property
    def head(self) -> Head: ...

    def images(self) -> Iterator[ImageRecord]: ...

    def forecast(self) -> Forecast: ...


class SourceError(Exception):
    """The source cannot be read: the text says what is wrong, where, and what to do."""
