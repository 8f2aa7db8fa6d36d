"""For every call what its curl line sends. A test fails for a call without an example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UID = "5c6f0f54-6f0c-4a64-9d0e-6a1f7f0e8a11"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

PATH_VALUES = {"slug": "animals", "uid": UID, "pk": "12", "key": "red-fox", "username": "vera", "side": "256"}


@dataclass(frozen=True)
class Example:
    """`body` is sent as JSON, `send` is curl's own words for files, `query` stands behind the question mark."""

    body: Any = None
    send: str = ""
    query: str = ""
    needs_token: bool = True


READ = Example()
FILE = "--data-binary @picture.jpg"

EXAMPLES: dict[str, Example] = {
    "classify.create": Example(send=FILE, query="project=animals"),
    "classify.fish": Example(send=FILE),
    "batches.create": Example(send="-F files=@one.jpg -F files=@two.jpg -F files=@more.zip", query="project=animals"),
    "health.read": Example(query="workers=1", needs_token=False),
    "status.read": READ,
    "me.read": READ,
    "events.read": Example(send="-N", query=f"uploads={UID}"),
    "uploads.list": Example(query="project=animals"),
    "uploads.create": Example(
        body={
            "project": "animals",
            "name": "Camera 7, May",
            "manifest": [{"path": "DCIM/IMG_0001.JPG", "size": 1834211, "modified_at_ms": 1746081600000}],
        }
    ),
    "uploads.read": READ,
    "uploads.close": Example(body={"state": "closed"}),
    "uploads.announce": Example(body={"manifest": [{"path": "DCIM/IMG_0002.JPG", "size": 1790022}]}),
    "uploads.check": Example(body={"sha256": [SHA256]}),
    "uploads.send_file": Example(send=FILE, query="path=DCIM/IMG_0001.JPG"),
    "uploads.post_file": Example(send="-F file=@picture.jpg", query="path=DCIM/IMG_0001.JPG"),
    "uploads.send_zip": Example(send="--data-binary @pictures.zip"),
    "uploads.retry": READ,
    "uploads.items": Example(query="state=failed"),
    "uploads.results": Example(send="-o results.csv", query="format=csv"),
    "uploads.events": Example(send="-N"),
    "images.list": Example(query="project=animals&order=least-sure&limit=20"),
    "images.read": READ,
    "images.original": Example(send="-OJ"),
    "images.thumbnail": Example(send="-o thumbnail.jpg"),
    "images.predictions": READ,
    "images.history": READ,
    "reviews.list": READ,
    "reviews.create": Example(
        body={
            "verdict": "labelled",
            "how": "suggested",
            "annotations": [{"label": "red-fox", "count": 2, "box": [0.1, 0.2, 0.5, 0.6]}],
        }
    ),
    "reviews.undo": READ,
    "images.facets": READ,
    "queues.list": READ,
    "queues.next": Example(body={"limit": 8, "unit": "sequence", "selection": {"label": "red-fox"}}),
    "queues.skip": Example(body={"unit": "s12"}),
    "queues.release": Example(body={"units": ["s12", "i40"]}),
    "queues.renew": Example(body={"units": ["s12", "i40"]}),
    "decisions.create": Example(
        body={
            "decisions": [
                {
                    "client_id": UID,
                    "images": [12, 13, 14],
                    "verdict": "labelled",
                    "annotations": [{"label_key": "red-fox", "count": 2}],
                    "per_image": {"14": {"annotations": []}},
                    "queue": "uncertain",
                    "seconds": 1.4,
                }
            ]
        }
    ),
    "changes.list": Example(query="mine=1"),
    "changes.undo": Example(body={}),
    "audits.create": Example(body={"size": 200, "level": "sequence", "selection": {"source": "machine"}}),
    "second_readings.create": Example(body={"size": 100}),
    "agreement.read": READ,
    "predictions.read": Example(query="scores=all"),
    "predictions.retry": READ,
    "projects.list": READ,
    "projects.create": Example(
        body={"name": "Serengeti 2026", "pictures": "camera-trap", "labels": ["Lion", "Zebra", "Gnu"]}
    ),
    "projects.read": READ,
    "projects.change": Example(body={"notice": "Small mammals are often missed.", "coordinates_decimals": 1}),
    "labels.list": Example(query="search=fox"),
    "labels.create": Example(body={"name": "Red fox", "scientific_name": "Vulpes vulpes", "synonyms": ["fox"]}),
    "labels.merge": Example(body={"into": "fox"}),
    "labels.rename": Example(body={"name": "Common fox"}),
    "sites.list": READ,
    "sites.create": Example(body={"name": "Waterhole", "latitude": -2.33, "longitude": 34.83}),
    "visits.list": READ,
    "visits.create": Example(body={"name": "May", "site": UID, "start": "2026-05-01T06:00:00Z"}),
    "places.read": READ,
    "places.arrange": READ,
    "sites.from_folders": Example(body={"site": 2, "visit": -1, "dry_run": True}),
    "sites.from_coordinates": Example(body={"metres": 100}),
    "visits.table": Example(body={"text": "site,visit,start,end\nFord,May,2026-05-01 08:00,2026-05-31 10:00\n"}),
    "labels.table": Example(body={"text": "name,scientific_name,parent\nLion,Panthera leo,Cat\n", "dry_run": True}),
    "visits.clock": READ,
    "visits.repair_clock": Example(body={"offset_seconds": 3600, "time_zone": "Africa/Nairobi"}),
    "visits.undo_clock": READ,
    "working_heads.list": READ,
    "working_heads.read": READ,
    "working_heads.accept": READ,
    "working_heads.dismiss": READ,
    "working_heads.end": READ,
    "beside.read": READ,
    "beside.start": Example(body={"version": 12, "note": "season 2027"}),
    "beside.stop": READ,
    "backfills.list": READ,
    "backfills.create": Example(body={}),
    "backfills.read": READ,
    "backfills.stop": READ,
    "snapshots.list": READ,
    "snapshots.create": Example(
        body={"name": "May", "options": {"split": "shares", "shares": [80, 10, 10], "group_by": ["site"], "seed": 7}}
    ),
    "snapshots.read": READ,
    "snapshots.manifest": Example(send="-o manifest.jsonl"),
    "snapshots.difference": READ,
    "snapshots.leaks": READ,
    "snapshots.restore": Example(body={"what": "labels"}),
    "snapshots.note": Example(body={"text": "used for the report of 2026"}),
    "freezings.list": READ,
    "freezings.read": READ,
    "freezings.stop": READ,
    "data.health": READ,
    "data.analyses": READ,
    "data.analyse": READ,
    "data.findings": Example(query="kind=suspect&limit=50"),
    "data.near_duplicates": Example(query="limit=50"),
    "data.minimums": Example(body={"images": 50, "sites": 3}),
    "people.list": READ,
    "people.set_role": Example(body={"role": "reviewer"}),
    "people.remove": READ,
    "exports.list": READ,
    "exports.create": Example(
        body={"format": "coco", "selection": {"label": "red-fox"}, "options": {"with_images": False}}
    ),
    "exports.read": READ,
    "exports.stop": READ,
    "exports.file": Example(send="-O -J"),
    "results.read": Example(query="by=visit&format=csv"),
    "imports.list": READ,
    "imports.create": Example(
        body={"path": "/srv/pictures/2025", "source": "Serengeti survey 2025", "licence": "CC-BY-4.0"}
    ),
    "imports.forecast": Example(
        body={"path": "/srv/pictures/labels.csv", "mapping": {"File": "path", "Species": "label"}}
    ),
    "imports.send": Example(send="--data-binary @labelled.zip", query="name=labelled.zip&licence=CC0"),
    "imports.read": READ,
    "imports.edit": Example(body={"trusted": False}),
    "imports.discard": READ,
    "imports.stop": READ,
    "imports.resume": Example(body={"mapping": {"File": "path", "Species": "label"}}),
    "imports.look_again": Example(body={"mapping": {"File": "path", "Species": "label"}}),
    "imports.report": Example(send="-o report.csv", query="state=failed"),
    "uploads.withdraw": Example(body={"reason": "the licence does not allow it"}),
    "uploads.bring_back": READ,
    "originals.read": READ,
    "originals.find": Example(body={"under": "/mnt/other-disk"}),
    "runs.list": READ,
    "runs.create": Example(body={"recipe": "head", "snapshot": UID, "config": {"sampler": "square-root"}}),
    "runs.read": READ,
    "runs.events": Example(send="-N"),
    "runs.log": READ,
    "runs.curves": Example(send="-o curves.csv", query="format=csv"),
    "runs.cancel": READ,
    "runs.resume": READ,
    "plans.list": READ,
    "plans.create": Example(
        body={
            "name": "each night",
            "trigger": "daily",
            "at": "02:30",
            "time_zone": "Europe/Paris",
            "gate": {"must_be": "not worse", "margin": 0.01},
        }
    ),
    "plans.read": READ,
    "plans.change": Example(body={"is_on": False}),
    "plans.delete": READ,
    "plans.run": READ,
    "trials.create": Example(body={"recipe": "fine-tune", "config": {"epochs": 10}}),
    "trials.read": READ,
    "evaluations.create": Example(body={"version": 12, "snapshot": UID, "part": "test"}),
    "evaluations.read": READ,
    "evaluations.images": Example(query="truth=red-fox&wrong=true"),
    "evaluations.table": Example(send="-o matrix.csv", query="of=matrix"),
    "comparisons.list": READ,
    "comparisons.create": Example(body={"a": 3, "b": 12}),
    "comparisons.read": READ,
    "comparisons.stop": READ,
    "comparisons.gallery": Example(query="kind=broken&truth=red-fox"),
    "versions.list": READ,
    "versions.read": READ,
    "versions.file": Example(send="-O -J"),
    "pipelines.list": READ,
    "pipelines.create": Example(body={"classifier": 3, "crop_margin": 0.1}),
    "activations.list": READ,
    "activations.create": Example(body={"pipeline": "9f86d081884c7d65", "note": "better at night"}),
    "activations.roll_back": Example(body={"note": "too many foxes"}),
    "tokens.list": READ,
    "tokens.create": Example(body={"name": "camera gateway", "scopes": ["upload"], "project": "animals"}),
    "tokens.revoke": READ,
}
