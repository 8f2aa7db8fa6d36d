"""Writes a Camtrap DP 1.0.2; what has no time or no place cannot be in one."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from webapp.datasets.formats.camtrap_dp import NO_VISIT
from webapp.datasets.formats.camtrap_observations import Observations
from webapp.datasets.formats.camtrap_tables import COLUMNS, SAMPLING_DESIGNS, SCHEMAS
from webapp.datasets.formats.cells import TableWriter
from webapp.datasets.formats.job import Job, option
from webapp.datasets.formats.records import ImageRecord, SiteRecord, SourceError, VisitRecord

_TYPES = {"png": "image/png", "webp": "image/webp", "tif": "image/tiff", "tiff": "image/tiff", "avif": "image/avif"}
_NO_TIME = "It has no capture time, and every medium of a Camtrap DP has one."
_NO_PLACE = "Its site has no coordinates (or it has no site), and every deployment of a Camtrap DP has them."
_BAD_ZONE = "Its capture time cannot be read."


@dataclass
class _Deployment:
    """One visit to a site, and from when to when its pictures were taken."""

    id: str
    site: SiteRecord
    visit: VisitRecord
    first: datetime | None = None
    last: datetime | None = None

    def meet(self, taken: datetime) -> None:
        self.first = min(self.first, taken) if self.first else taken
        self.last = max(self.last, taken) if self.last else taken

    @property
    def start(self) -> datetime | None:
        return self.visit.start or self.first

    @property
    def end(self) -> datetime | None:
        return self.visit.end or self.last


@dataclass
class _Deployments:
    """All deployments that pictures were met of; few beside the pictures, so they stay in memory."""

    job: Job
    known: dict[tuple[str, str], _Deployment] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        head = self.job.head
        self._sites = {site.name: site for site in head.sites}
        self._visits = {(visit.site, visit.name): visit for visit in head.visits}
        self._names = Counter(visit.name for visit in head.visits)

    def of(self, record: ImageRecord) -> _Deployment | None:
        """The deployment of an image; None where nobody knows where it was taken."""
        key = (record.site, record.visit)
        if key not in self.known:
            site = self._sites.get(record.site)
            if site is None or not _is_on_earth(site):
                return None
            visit = self._visits.get(key) or VisitRecord(record.visit, record.site)
            self.known[key] = _Deployment(self._new_id(site.name, record.visit), site, visit)
        return self.known[key]

    def _new_id(self, site: str, visit: str) -> str:
        wanted = f"{site} / {visit}" if self._names[visit] > 1 else visit or site
        number, name = 1, wanted
        while name in self.ids:
            number += 1
            name = f"{wanted} ({number})"
        self.ids.add(name)
        return name


def _is_on_earth(site: SiteRecord) -> bool:
    """Whether its coordinates are there and can be, in degrees of WGS 84."""
    return (
        site.latitude is not None
        and site.longitude is not None
        and -90 <= site.latitude <= 90
        and -180 <= site.longitude <= 180
    )


def write(job: Job, images: Iterable[ImageRecord], options: Mapping[str, Any]) -> None:
    """Options: `time_zone` of clocks whose site has none, and title, contributor, sampling_design, licence."""
    design = option(options, "sampling_design", "opportunistic", SAMPLING_DESIGNS)
    zone = _zone(str(options.get("time_zone") or "UTC"))
    deployments, observations = _Deployments(job), Observations(job.head)
    with ExitStack() as files:
        media = TableWriter(files.enter_context(job.out.open_text("media.csv")), COLUMNS["media"])
        observed = TableWriter(files.enter_context(job.out.open_text("observations.csv")), COLUMNS["observations"])
        for record in images:
            placed = _placed(job, record, deployments, zone)
            if placed is None:
                continue
            deployment, taken = placed
            deployment.meet(taken)
            name = job.place(f"media/{record.path.lstrip('./~')}")
            job.copy(record, name)
            medium = {"mediaID": name, "deploymentID": deployment.id, "timestamp": _written(taken)}
            rows = list(observations.of(record, medium))
            for row in rows:
                job.counts["observations"] += 1
                observed.write([row.get(column) for column in COLUMNS["observations"]])
            public = not any(row["observationType"] == "human" for row in rows)
            medium |= {"filePath": name, "filePublic": str(public).lower(), "fileName": name.rpartition("/")[2]}
            medium["fileMediatype"] = _TYPES.get(name.rpartition(".")[2].lower(), "image/jpeg")
            media.write([medium.get(column) for column in COLUMNS["media"]])
    for label in observations.without_scientific_name:
        job.leave_out(label, "no-scientific-name", "The label has no scientific name: its own name stands for it.")
    _write_deployments(job, deployments)
    package = _package(job, deployments, observations, options, design)
    job.out.add_bytes("datapackage.json", json.dumps(package, indent=2, ensure_ascii=False).encode())


def _placed(
    job: Job, record: ImageRecord, deployments: _Deployments, zone: ZoneInfo
) -> tuple[_Deployment, datetime] | None:
    """Where and when; None, with the reason said, where either is unknown."""
    if not record.captured_at:
        job.leave_out(record.path, "no-capture-time", _NO_TIME)
        return None
    deployment = deployments.of(record)
    if deployment is None:
        job.leave_out(record.path, "no-coordinates", _NO_PLACE)
        return None
    try:
        taken = datetime.fromisoformat(record.captured_at)
    except ValueError:
        job.leave_out(record.path, "no-capture-time", _BAD_ZONE)
        return None
    if taken.tzinfo is None:
        taken = taken.replace(tzinfo=_zone(deployment.site.time_zone) if deployment.site.time_zone else zone)
    return deployment, taken


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SourceError(f"There is no time zone {name!r}. Write one like Europe/Oslo.") from error


def _written(moment: datetime | None) -> str:
    return "" if moment is None else re.sub(r"\+00:00$", "Z", moment.isoformat(timespec="seconds"))


def _write_deployments(job: Job, deployments: _Deployments) -> None:
    with job.out.open_text("deployments.csv") as text:
        table = TableWriter(text, COLUMNS["deployments"])
        for one in deployments.known.values():
            job.counts["deployments"] += 1
            row = {
                "deploymentID": one.id,
                "locationID": one.site.name,
                "locationName": one.site.name,
                "latitude": one.site.latitude,
                "longitude": one.site.longitude,
                "coordinateUncertainty": one.site.coordinate_uncertainty_m or None,
                "deploymentStart": _written(_aware(one.start)),
                "deploymentEnd": _written(_aware(one.end)),
                "cameraID": one.visit.device,
                "deploymentTags": "" if one.visit.name else NO_VISIT,
                "deploymentComments": one.visit.notes,
            }
            table.write([row.get(column) for column in COLUMNS["deployments"]])


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _package(
    job: Job, deployments: _Deployments, observations: Observations, options: Mapping[str, Any], design: str
) -> dict[str, Any]:
    title = str(options.get("title") or job.head.name or "Osprey export")
    now = datetime.now(UTC)
    package: dict[str, Any] = {
        "name": re.sub(r"[^a-z0-9._-]+", "-", title.lower()).strip("-") or "export",
        "title": title,
        "profile": f"{SCHEMAS}/camtrap-dp-profile.json",
        "created": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "contributors": [{"title": str(options.get("contributor") or "Unknown"), "role": "contact"}],
        "project": {
            "title": title,
            "samplingDesign": design,
            "captureMethod": ["activityDetection"],
            "individualAnimals": observations.individuals,
            "observationLevel": ["media"],
        },
        "spatial": _spatial(deployments),
        "temporal": _temporal(deployments, now.date()),
        "taxonomic": observations.taxa(),
        "resources": list(_resources()),
    }
    licence = str(options.get("licence") or job.head.licence)
    if re.match(r"^[-a-zA-Z0-9._]+$", licence):
        package["licenses"] = [{"name": licence, "scope": scope} for scope in ("data", "media")]
    return package


def _resources() -> Iterator[dict[str, str]]:
    for name in COLUMNS:
        yield {
            "name": name,
            "path": f"{name}.csv",
            "profile": "tabular-data-resource",
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "schema": f"{SCHEMAS}/{name}-table-schema.json",
        }


def _spatial(deployments: _Deployments) -> dict[str, Any]:
    points = {(one.site.longitude, one.site.latitude): None for one in deployments.known.values()}
    return {"type": "MultiPoint", "coordinates": [list(point) for point in points]}


def _temporal(deployments: _Deployments, today: date) -> dict[str, str]:
    starts = [moment.date() for one in deployments.known.values() if (moment := _aware(one.start))]
    ends = [moment.date() for one in deployments.known.values() if (moment := _aware(one.end))]
    return {"start": min(starts, default=today).isoformat(), "end": max(ends, default=today).isoformat()}
