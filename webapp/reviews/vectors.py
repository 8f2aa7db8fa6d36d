"""A project's embeddings as memory-mapped files, one space each, kept beside the database and added to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import Count

from webapp.predictions.models import Embedding
from webapp.projects.models import Project
from webapp.reviews.numeric.stored import Stored
from webapp.versions.activate import active_pipeline_id
from webapp.versions.locks import file_lock

CHUNK = 2000
LATE_ROWS = 5000
"""A row may be committed after one with a higher key; so many of the last are looked at again."""
NEARLY = 0.9


@dataclass(frozen=True)
class Vectors(Stored):
    """Unit vectors of images in one space."""

    space: str


def load(project: Project) -> Vectors | None:
    """The vectors of the space that most images of the project have; None where no image has any."""
    space = _space_of(project)
    if space is None:
        return None
    folder = Path(settings.DATA_DIR) / "cache" / "vectors" / f"{project.pk}-{space[:40]}"
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / ".lock"):
        return _add_new(project, space, folder)


def _space_of(project: Project) -> str | None:
    rows = Embedding.objects.filter(image__project=project).values("space").annotate(n=Count("image", distinct=True))
    counts = {row["space"]: row["n"] for row in rows.order_by()}
    if not counts:
        return None
    live = active_pipeline_id(project.pk)
    spoken = (
        Embedding.objects.filter(image__project=project, version__in=_versions_of(live))
        .order_by("-pk")
        .values_list("space", flat=True)
        .first()
    )
    most = max(counts.values())
    if spoken is not None and counts[spoken] >= NEARLY * most:
        return spoken
    return max(counts, key=lambda space: (counts[space], space))


def _versions_of(pipeline_id: int | None) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT classifier_id, detector_id, identifier_id FROM versions_pipeline WHERE id = %s", [pipeline_id]
        )
        return [version for version in (cursor.fetchone() or ()) if version is not None]


def _add_new(project: Project, space: str, folder: Path) -> Vectors:
    meta = _read_meta(folder)
    if not meta:
        for name in ("ids.i64", "vectors.f16"):
            (folder / name).unlink(missing_ok=True)
    known = set(np.fromfile(folder / "ids.i64", dtype=np.int64, count=meta["rows"]).tolist()) if meta else set()
    seen, width = int(meta.get("last", 0)), int(meta.get("width", 0))
    after = max(0, seen - LATE_ROWS)
    with (folder / "ids.i64").open("ab") as ids, (folder / "vectors.f16").open("ab") as vectors:
        if meta:  # a process that ended in between may have written more than it said
            ids.truncate(meta["rows"] * 8)
            vectors.truncate(meta["rows"] * width * 2)
        rows = int(meta.get("rows", 0))
        while chunk := _read_rows(project, space, after):
            after = chunk[-1][0]
            fresh = {image: vector for _, image, vector in chunk if image not in known}
            width = width or (len(chunk[0][2]) // 2)
            fits = {image: vector for image, vector in fresh.items() if len(vector) == width * 2}
            np.fromiter(fits, dtype=np.int64, count=len(fits)).tofile(ids)
            vectors.write(b"".join(fits.values()))
            known.update(fits)
            rows += len(fits)
            seen = max(seen, after)
    _write_meta(folder, {"rows": rows, "width": width, "last": seen, "space": space})
    return _open(space, folder, rows, width)


def _read_rows(project: Project, space: str, after: int) -> list[tuple[int, int, bytes]]:
    """The next vectors; of an image that was cut into regions, that of the surest region stands for it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.id, e.image_id, e.vector FROM predictions_embedding e "
            "JOIN images_image i ON i.id = e.image_id LEFT JOIN predictions_region r ON r.id = e.region_id "
            "WHERE i.project_id = %s AND e.space = %s AND e.id > %s AND (e.region_id IS NULL OR NOT EXISTS ("
            "SELECT 1 FROM predictions_embedding o LEFT JOIN predictions_region q ON q.id = o.region_id "
            "WHERE o.image_id = e.image_id AND o.space = e.space AND o.id <> e.id AND (o.region_id IS NULL "
            "OR q.score > r.score OR (q.score = r.score AND o.id < e.id)))) ORDER BY e.id LIMIT %s",
            [project.pk, space, after, CHUNK],
        )
        return [(key, image, bytes(vector)) for key, image, vector in cursor.fetchall()]


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        whole = (folder / "ids.i64").stat().st_size >= meta["rows"] * 8
        return meta if whole and (folder / "vectors.f16").stat().st_size >= meta["rows"] * meta["width"] * 2 else {}
    except (OSError, ValueError, KeyError):
        return {}  # never made, or cut off: it is made anew


def _write_meta(folder: Path, meta: dict[str, Any]) -> None:
    beside = folder / "meta.json.part"
    beside.write_text(json.dumps(meta), encoding="utf-8")
    beside.replace(folder / "meta.json")


def _open(space: str, folder: Path, rows: int, width: int) -> Vectors:
    if not rows:
        empty = np.empty(0, dtype=np.int64)
        return Vectors(empty, empty, np.empty((0, 1), dtype=np.float16), space)
    ids = np.fromfile(folder / "ids.i64", dtype=np.int64, count=rows)
    matrix = np.memmap(folder / "vectors.f16", dtype=np.float16, mode="r", shape=(rows, width))
    order = np.argsort(ids, kind="stable")
    return Vectors(ids[order], order, matrix, space)
