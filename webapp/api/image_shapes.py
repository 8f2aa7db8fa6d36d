"""Images as the JSON of lists: from flat rows, because a grid asks for hundreds at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Model
from rest_framework.request import Request

from webapp.api.views import address
from webapp.images.models import Image, Upload
from webapp.images.models import Sequence as Burst
from webapp.projects.models import Label, Project, Site, Visit
from webapp.projects.place_rule import PlaceRule
from webapp.reviews.said import LabelSaid, labels_said

COLUMNS = (
    "image_id", "score", "source", "review_state", "queue_reason", "queue_priority", "failure", "captured_at_utc",
    "label_id", "machine_label_id", "upload_id",
)  # fmt: skip
"""What `image_shapes` needs of an ImageState, for `values()`."""
OF_IMAGE = (
    "path", "part", "width", "height", "captured_at", "camera_make", "camera_model", "latitude", "longitude",
    "site_id", "visit_id", "sequence_id", "damaged_share", "created_at", "file__sha256", "file__size",
    "file__media_type", "file__missing_since",
)  # fmt: skip
NONE: Mapping[str, Any] = defaultdict(lambda: None)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True)
class Around:
    """What belongs to the rows of one page, by key."""

    images: Mapping[int, Row]
    labels: Mapping[int | None, Row]
    sites: Mapping[int | None, Row]
    visits: Mapping[int | None, Row]
    sequences: Mapping[int | None, Row]
    uploads: Mapping[int | None, Row]
    said: Mapping[int, list[LabelSaid]]
    thumbnail: str


def image_shapes(rows: Sequence[Row], project: Project, rule: PlaceRule, request: Request) -> list[dict[str, Any]]:
    """Each table is read by itself, by the keys of the rows at hand.

    One query that joined them all would leave the database a choice of plans, some of which read a million rows.
    """
    ids = [row["image_id"] for row in rows]
    images = {row.pop("pk"): row for row in Image.objects.filter(pk__in=ids).values("pk", *OF_IMAGE)}
    there = list(images.values())
    around = Around(
        images=images,
        labels=_by_key(Label, rows, ("label_id", "machine_label_id"), ("key", "name")),
        sites=_by_key(Site, there, ("site_id",), ("uid", "name", "sensitive")),
        visits=_by_key(Visit, there, ("visit_id",), ("uid", "name")),
        sequences=_by_key(Burst, there, ("sequence_id",), ("uid",)),
        uploads=_by_key(Upload, rows, ("upload_id",), ("uid",)),
        said=labels_said([row["image_id"] for row in rows if row["review_state"] != "unreviewed"]),
        thumbnail=address(request, "api-image-thumbnail", 0, 256),
    )
    return [_shape(row, project, rule, around) for row in rows if row["image_id"] in around.images]


def _by_key(
    model: type[Model], rows: Sequence[Row], keys: Sequence[str], columns: Sequence[str]
) -> dict[int | None, Row]:
    wanted = {row[key] for row in rows for key in keys if row[key] is not None}
    found = model._default_manager.filter(pk__in=wanted).values("pk", *columns) if wanted else ()
    return {row["pk"]: row for row in found}


def _shape(row: Row, project: Project, rule: PlaceRule, around: Around) -> dict[str, Any]:
    image = around.images[row["image_id"]]
    label, machine = around.labels.get(row["label_id"], NONE), around.labels.get(row["machine_label_id"], NONE)
    site, visit = around.sites.get(image["site_id"], NONE), around.visits.get(image["visit_id"], NONE)
    place = rule.shown(Place(image["latitude"], image["longitude"]), sensitive=bool(site["sensitive"]))
    return {
        "id": row["image_id"],
        "project": project.slug,
        "path": image["path"],
        "part": image["part"],
        "sha256": image["file__sha256"],
        "size_bytes": image["file__size"],
        "media_type": image["file__media_type"],
        "width": image["width"],
        "height": image["height"],
        "captured_at": image["captured_at"],
        "captured_at_utc": row["captured_at_utc"],
        "camera": " ".join(part for part in (image["camera_make"], image["camera_model"]) if part),
        "latitude": place.latitude,
        "longitude": place.longitude,
        "coordinates": place.coordinates,
        "site": site["uid"],
        "site_name": site["name"],
        "visit": visit["uid"],
        "visit_name": visit["name"],
        "sequence": around.sequences.get(image["sequence_id"], NONE)["uid"],
        "upload": around.uploads[row["upload_id"]]["uid"],
        "damaged_share": image["damaged_share"],
        "missing": image["file__missing_since"] is not None,
        "label": label["name"],
        "label_key": label["key"],
        "labels": [asdict(one) for one in around.said.get(row["image_id"], ())],
        "score": row["score"],
        "machine_label": machine["name"],
        "machine_label_key": machine["key"],
        "source": row["source"],
        "review_state": row["review_state"],
        "queue_reason": row["queue_reason"],
        "failure": row["failure"],
        "thumbnail": around.thumbnail.replace("/images/0/", f"/images/{row['image_id']}/"),
        "created_at": image["created_at"],
    }
