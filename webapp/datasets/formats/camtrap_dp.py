"""Camtrap DP 1.0: deployments as sites and visits, media, and observations of single media or of whole events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from webapp.datasets.formats.camtrap_events import Events
from webapp.datasets.formats.cells import Row, Table, open_table
from webapp.datasets.formats.faults import Faults
from webapp.datasets.formats.paths import Found, Pictures, pictures_for
from webapp.datasets.formats.reading import ReadSource
from webapp.datasets.formats.records import (
    AnnotationRecord,
    Box,
    DetectionRecord,
    Head,
    ImageRecord,
    LabelRecord,
    SiteRecord,
    Source,
    SourceError,
    VisitRecord,
)
from webapp.datasets.formats.spool import Spool
from webapp.datasets.formats.values import clipped, finite, known_options, label_record, moment, whole

TABLES = ("deployments", "media", "observations")
FIELDS = {"lifeStage": "life-stage", "sex": "sex", "behavior": "behaviour"}
NO_VISIT = "visit:none"
_MISSING = {"", "NA", "NaN", "nan"}
_KINDS = {"human": "person", "vehicle": "vehicle"}
_LARGEST = 64 << 20
_PAIR = re.compile(r"^[a-zA-Z][\w-]*:[^/]")


@dataclass(frozen=True)
class _Package:
    """The tables of a package, and the words for its scientific names."""

    folder: Path
    content: Mapping[str, Any]
    tables: Mapping[str, Table]
    names: Mapping[str, LabelRecord]


def open_package(root: Path, options: Mapping[str, Any]) -> Source:
    """`root` is datapackage.json or its folder. Observations by machines come as detections, never as labels."""
    known_options(options, "images")
    file = root if root.is_file() else root / "datapackage.json"
    package = _package(file)
    sites, visits, by_id, zoneless = _deployments(package)
    spool, events = Spool(), Events()
    media = Faults(package.tables["media"].file, "line", "cannot be read whole")
    for row in _rows(package, "media"):
        _keep_medium(package, row, by_id, spool, media)
    seen: dict[str, LabelRecord] = {}
    observations = Faults(package.tables["observations"].file, "line", "cannot be read")
    for row in _rows(package, "observations"):
        _keep_observation(row, package.names, spool, events, seen, observations)
    spool.finish()
    events.finish()
    if not spool.count():
        raise SourceError(f"{package.tables['media'].file} lists no media.")
    names = (body["name"] or body["path"] for _, body, _ in spool.images())
    pictures = pictures_for(file.parent, names, images=str(options.get("images") or ""), bases=("media", "images"))
    content = package.content
    head = Head(
        format="camtrapdp",
        name=str(content.get("title") or content.get("name") or file.parent.name),
        licence=", ".join(str(one.get("name") or one.get("path")) for one in content.get("licenses") or ()),
        source=str(content.get("homepage") or content.get("id") or ""),
        labels=tuple({label.name: label for label in (*package.names.values(), *seen.values())}.values()),
        sites=tuple(sites.values()),
        visits=tuple(visits),
        notices=(
            *(notice for table in package.tables.values() for notice in table.notices),
            *zoneless,
            *media.told(),
            *observations.told(),
        ),
    )
    return ReadSource(head, lambda _measure: _read(spool, events, pictures))


def _package(file: Path) -> _Package:
    if not file.is_file():
        raise SourceError(f"{file} is not there: a Camtrap DP has it beside its tables.")
    if file.stat().st_size > _LARGEST:
        raise SourceError(f"{file} has more than {_LARGEST >> 20} MB and is not read.")
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise SourceError(f"{file} is no JSON: {error}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("resources"), list):
        raise SourceError(f"{file} lists no resources.")
    inside = Pictures(file.parent)
    tables = {}
    for resource in content["resources"]:
        if isinstance(resource, dict) and resource.get("name") in TABLES:
            tables[str(resource["name"])] = _table(file, inside, resource)
    if missing := [name for name in TABLES if name not in tables]:
        raise SourceError(f"{file} lacks the table {', '.join(missing)}.")
    taxa = content.get("taxonomic") or ()
    return _Package(file.parent, content, tables, {key: label for one in taxa for key, label in _taxon(one)})


def _table(file: Path, inside: Pictures, resource: Mapping[str, Any]) -> Table:
    name, path = resource["name"], resource.get("path") or ""
    if isinstance(path, list):
        if len(path) > 1:
            raise SourceError(f"{file}: the table {name} is in {len(path)} files. Put them together into one.")
        path = path[0] if path else ""
    if "://" in str(path):
        raise SourceError(f"{file}: the table {name} is at {path}. Fetch the tables, put them beside it and name them.")
    found = inside.find(str(path))
    if found.file is None:
        raise SourceError(f"{file}: the table {name}: {found.problem}")
    table = open_table(found.file)
    if name == "deployments" and "deploymentStart" not in table.header and "start" in table.header:
        raise SourceError(f"{file} is a Camtrap DP older than 1.0: its columns had other names. Export it as 1.0.")
    return table


def _taxon(taxon: Any) -> Iterator[tuple[str, LabelRecord]]:
    """The English name is the label where there is one; other languages are synonyms."""
    if not isinstance(taxon, dict) or not taxon.get("scientificName"):
        return
    latin = str(taxon["scientificName"])
    known = taxon.get("vernacularNames")
    names = {key: str(name) for key, name in known.items() if name} if isinstance(known, dict) else {}
    others = tuple(dict.fromkeys(name for key, name in names.items() if key not in ("eng", "en")))
    label = names.get("eng") or names.get("en") or latin
    outside = {"taxonID": str(taxon["taxonID"])} if taxon.get("taxonID") else {}
    yield latin, label_record(label, scientific_name=latin, synonyms=others, outside_ids=outside)


def _rows(package: _Package, name: str) -> Iterator[Row]:
    """Rows in which what means missing is empty."""
    for row in package.tables[name].rows():
        yield Row(row.line, {key: "" if text in _MISSING else text for key, text in row.cells.items()})


def _fault(package: _Package, table: str, row: Row, said: object) -> SourceError:
    return SourceError(f"{package.tables[table].file}, line {row.line}: {said}.")


def _needed(package: _Package, table: str, row: Row, column: str) -> str:
    if value := row.cells.get(column, ""):
        return value
    raise _fault(package, table, row, f"{column} is empty, and it is required")


def _deployments(
    package: _Package,
) -> tuple[dict[str, SiteRecord], list[VisitRecord], dict[str, tuple[str, str]], list[str]]:
    """Sites by name, visits, for each deployment its site and visit, and what could not be read."""
    zoneless: list[str] = []
    sites: dict[str, SiteRecord] = {}
    visits: list[VisitRecord] = []
    by_id: dict[str, tuple[str, str]] = {}
    for row in _rows(package, "deployments"):
        cells = row.cells
        key = _needed(package, "deployments", row, "deploymentID")
        site = cells.get("locationName") or cells.get("locationID") or key
        try:
            place = [finite(cells[name]) if cells.get(name) else None for name in ("latitude", "longitude")]
            near = cells.get("coordinateUncertainty")
            sites.setdefault(site, SiteRecord(site, place[0], place[1], whole(near) if near else None))
            start, end = (_zoned(cells, name, zoneless) for name in ("deploymentStart", "deploymentEnd"))
        except ValueError as error:
            raise _fault(package, "deployments", row, error) from error
        visit = "" if NO_VISIT in cells.get("deploymentTags", "").split("|") else key
        by_id[key] = (site, visit)
        device = cells.get("cameraID") or cells.get("cameraModel", "")
        if visit:
            visits.append(VisitRecord(visit, site, start, end, device, notes=cells.get("deploymentComments", "")))
    notices = (
        [f"Deployment times without a zone are left out: {len(zoneless):,}, as {zoneless[0]}."] if zoneless else []
    )
    return sites, visits, by_id, notices


def _zoned(cells: Mapping[str, str], name: str, zoneless: list[str]) -> datetime | None:
    text = cells.get(name, "")
    if text and datetime.fromisoformat(moment(text)).tzinfo is None:
        zoneless.append(text)
        return None
    return _aware(text)


def _aware(text: str) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(moment(text))
    if found.tzinfo is None:
        raise ValueError(f"the time {text} has no zone")
    return found


def _keep_medium(
    package: _Package, row: Row, by_id: Mapping[str, tuple[str, str]], spool: Spool, faults: Faults
) -> None:
    """A wrong time or deployment costs only that, and is told of with the picture."""
    faults.next_entry()
    path, name = row.cells.get("filePath", ""), row.cells.get("fileName", "")
    key = row.cells.get("mediaID", "")
    if not key or not path:
        faults.note(f"{'filePath' if key else 'mediaID'} is empty, and it is required", row.line)
        return
    wrong = []
    deployment, taken = row.cells.get("deploymentID", ""), ""
    if deployment not in by_id:
        wrong.append(f"there is no deployment {deployment}" if deployment else "deploymentID is empty")
    try:
        taken = moment(row.cells.get("timestamp", ""))
    except ValueError:
        wrong.append(f"{row.cells['timestamp']!r} is no time")
    body = {"path": path, "taken": taken, "deployment": deployment, "place": by_id.get(deployment, ("", ""))}
    body["name"] = name if "://" in path else ""
    body["problem"] = " ".join(f"media.csv, {faults.note(one, row.line)}." for one in wrong)
    if not spool.add_image(key, body):
        raise _fault(package, "media", row, f"the mediaID {key} is there twice")


def _keep_observation(
    row: Row,
    names: Mapping[str, LabelRecord],
    spool: Spool,
    events: Events,
    seen: dict[str, LabelRecord],
    faults: Faults,
) -> None:
    cells = row.cells
    faults.next_entry()
    try:
        if not cells.get("observationType"):
            raise ValueError("observationType is empty, and it is required")
        body = _observation(cells, cells["observationType"], names, seen)
        if cells.get("mediaID"):
            spool.add_row(cells["mediaID"], body)
            return
        start, end = (_aware(cells.get(name, "")) for name in ("eventStart", "eventEnd"))
        if start is None or end is None:
            raise ValueError("an observation of an event needs eventStart and eventEnd")
        events.add(cells.get("deploymentID", ""), start, end, body)
    except ValueError as error:
        said = faults.note(str(error), row.line)
        if cells.get("mediaID"):
            spool.add_row(cells["mediaID"], {"fault": f"observations.csv, {said}."})


def _observation(
    cells: Mapping[str, str], kind: str, names: Mapping[str, LabelRecord], seen: dict[str, LabelRecord]
) -> dict[str, Any]:
    """What the record of an image needs of an observation, as plain values."""
    tags = [tag.strip() for tag in cells.get("observationTags", "").split("|") if tag.strip()]
    pairs = dict(tag.split(":", 1) for tag in tags if _PAIR.match(tag))
    latin = cells.get("scientificName", "")
    label = pairs.pop("label", "")
    if kind == "animal" and not label:
        label = names[latin].name if latin in names else latin or "animal"
        seen.setdefault(label, names.get(latin) or label_record(label, scientific_name=latin))
    label = label or _KINDS.get(kind, "")
    if label:
        seen.setdefault(label, label_record(label))
    sides = [cells.get(f"bbox{side}", "") for side in ("X", "Y", "Width", "Height")]
    fields = {key: cells[column] for column, key in FIELDS.items() if cells.get(column)}
    return {
        "kind": kind,
        "label": label,
        "box": clipped(*map(finite, sides)) if all(sides) else None,
        "count": whole(cells["count"]) if cells.get("count") else 1,
        "individual": cells.get("individualID", ""),
        "fields": {**fields, **pairs},
        "event": cells.get("eventID", ""),
        "machine": cells.get("classificationMethod") == "machine",
        "by": cells.get("classifiedBy", ""),
        "probability": finite(cells["classificationProbability"]) if cells.get("classificationProbability") else 1.0,
    }


def _read(spool: Spool, events: Events, pictures: Pictures) -> Iterator[ImageRecord]:
    for _, body, all_rows in spool.images():
        found = _found(pictures, body)
        rows = [row for row in all_rows if "fault" not in row]
        problems = [found.problem, body["problem"], *(row["fault"] for row in all_rows if "fault" in row)]
        of_event = events.at(body["deployment"], body["taken"]) if body["taken"] else []
        said = [row for row in rows if not row["machine"]] or [row for row in of_event if not row["machine"]]
        site, visit = body["place"]
        record = ImageRecord(found.path, found.file, site=site, visit=visit, captured_at=body["taken"])
        yield replace(
            record,
            annotations=_annotations(said),
            cannot_tell=any(row["kind"] == "unknown" and not row["label"] for row in said),
            detections=_detections([row for row in (*rows, *of_event) if row["machine"]]),
            sequence=next((row["event"] for row in (*rows, *of_event) if row["event"]), ""),
            labelled_by=next((row["by"] for row in said if row["by"]), ""),
            problem=" ".join(problem for problem in problems if problem),
        )


def _found(pictures: Pictures, body: Mapping[str, Any]) -> Found:
    """A picture that the package names by a web address may have been fetched: it is looked for by its file name."""
    found = pictures.find(body["path"])
    if found.file is None and body["name"]:
        names = (body["name"], f"{body['deployment']}/{body['name']}")
        return next((other for name in names if (other := pictures.find(name)).file is not None), found)
    return found


def _annotations(said: list[dict[str, Any]]) -> tuple[AnnotationRecord, ...] | None:
    """None where every observation is unclassified, or where somebody could not tell."""
    sure = [row for row in said if row["kind"] != "unclassified" and (row["kind"] != "unknown" or row["label"])]
    if not sure:
        return None
    return tuple(
        AnnotationRecord(row["label"], _box(row), row["count"], row["individual"], *_recorded(row["fields"]))
        for row in sure
        if row["label"]
    )


def _recorded(pairs: Mapping[str, str]) -> tuple[dict[str, str], dict[str, bool | None]]:
    """Fields, and the flags among them."""
    flags = ("occluded", "truncated", "group_of", "depiction", "inside")
    told: dict[str, bool | None] = {key: value == "true" for key, value in pairs.items() if key in flags}
    return {key: value for key, value in pairs.items() if key not in flags}, told


def _box(row: Mapping[str, Any]) -> Box | None:
    return (row["box"][0], row["box"][1], row["box"][2], row["box"][3]) if row["box"] else None


def _detections(rows: list[dict[str, Any]]) -> tuple[DetectionRecord, ...] | None:
    if not rows or all(row["kind"] == "unclassified" for row in rows):
        return None
    return tuple(
        DetectionRecord(
            _KINDS.get(row["kind"], "animal"), row["probability"], _box(row), ((row["label"], row["probability"]),)
        )
        for row in rows
        if row["label"]
    )
