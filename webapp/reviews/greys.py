"""A project's pictures as grey copies of 32 x 32, in a file beside the database that is added to; a kilobyte each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from django.conf import settings

from classifier.fingerprint import HASH_SIDE
from webapp.images.derived import SMALL, name_of
from webapp.images.models import Image
from webapp.images.store import derived_path
from webapp.projects.models import Project
from webapp.reviews.numeric.stored import Stored
from webapp.reviews.numeric.windows import grey_copy
from webapp.versions.locks import file_lock

PIXELS = HASH_SIDE * HASH_SIDE
CHUNK = 2000


def load(project: Project) -> Stored:
    """Those of all images that have a thumbnail; what is new is read from thumbnails first."""
    folder = Path(settings.DATA_DIR) / "cache" / "greys"
    folder.mkdir(parents=True, exist_ok=True)
    ids, greys = folder / f"{project.pk}.i64", folder / f"{project.pk}.u8"
    with file_lock(folder / f"{project.pk}.lock"):
        rows = min(_size(ids) // 8, _size(greys) // PIXELS)
        known = np.fromfile(ids, dtype=np.int64, count=rows) if rows else np.empty(0, dtype=np.int64)
        with ids.open("ab") as names, greys.open("ab") as pixels:
            names.truncate(rows * 8)  # a process that ended in between may have written one without the other
            pixels.truncate(rows * PIXELS)
            fresh = _fresh(project, set(known.tolist()))
            while some := list(islice(fresh, CHUNK)):
                pixels.write(b"".join(grey for _, grey in some))
                names.write(np.array([key for key, _ in some], dtype=np.int64).tobytes())
        return _open(ids, greys)


def _fresh(project: Project, known: set[int]) -> Iterator[tuple[int, bytes]]:
    images = Image.objects.filter(project=project, measured_at__isnull=False, withdrawn_at=None).order_by("pk")
    for key, sha256 in images.values_list("pk", "file__sha256").iterator(chunk_size=CHUNK):
        grey = None if key in known else _read(derived_path(sha256, name_of(SMALL)))
        if grey is not None:
            yield key, grey


def _read(thumbnail: Path) -> bytes | None:
    """None where there is no thumbnail, or none that can be read: it may be made again."""
    try:
        return grey_copy(thumbnail)
    except OSError:
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _open(ids: Path, greys: Path) -> Stored:
    found = np.fromfile(ids, dtype=np.int64)
    order = np.argsort(found, kind="stable")
    shape = (len(found), HASH_SIDE, HASH_SIDE)
    matrix = np.memmap(greys, dtype=np.uint8, mode="r", shape=shape) if len(found) else np.empty(shape, dtype=np.uint8)
    return Stored(found[order], order, matrix)
