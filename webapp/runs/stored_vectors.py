"""What the starting network saw in a snapshot's images, from the stored rows into one file, with flat memory."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from webapp.datasets import manifest
from webapp.datasets.models import Snapshot
from webapp.predictions.models import Embedding
from webapp.versions.models import Version

CHUNK = 500
DIGEST_BYTES = 64 * 4
"""A SHA-256 as numpy keeps text: four bytes for each of its 64 characters."""


def space_of(version: Version) -> str:
    """Versions that share a backbone share their embeddings."""
    return str(version.card.get("embedding_space") or version.digest)


def write_embeddings(snapshot: Snapshot, version: Version, path: Path) -> int:
    """Write `sha256`, `vectors` and `space` of the images in use; returns how many have a vector. Others are left out.

    An image that was cut into boxes has no vector of its own: whoever trains computes it.
    """
    return write_vectors(_used(snapshot), space_of(version), path)


def write_vectors(images: Iterable[tuple[int, str]], space: str, path: Path) -> int:
    """The same of any images, each with its SHA-256."""
    digests, vectors = path.with_name(".digests.part"), path.with_name(".vectors.part")
    beside = path.with_name(f".{path.name}.part")
    try:
        with digests.open("wb") as out_digests, vectors.open("wb") as out_vectors:
            count, width = _spool(images, space, out_digests, out_vectors)
        if not count:
            return 0
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED, allowZip64=True) as file:
            _member(file, "sha256", np.dtype("<U64"), (count,), digests)
            _member(file, "vectors", np.dtype("<f2"), (count, width), vectors)
            with file.open("space.npy", "w") as out:
                np.lib.format.write_array(out, np.array(space), allow_pickle=False)
        beside.replace(path)
        return count
    finally:
        for left in (digests, vectors, beside):
            left.unlink(missing_ok=True)


def _used(snapshot: Snapshot) -> Iterator[tuple[int, str]]:
    _, lines = manifest.read(snapshot)
    return ((line.image, line.sha256) for line in lines if line.is_used)


def _spool(
    images: Iterable[tuple[int, str]], space: str, out_digests: IO[bytes], out_vectors: IO[bytes]
) -> tuple[int, int]:
    """How many vectors there are, and how long each is; one of another length is left out."""
    count = width = 0
    waiting = iter(images)
    while chunk := dict(islice(waiting, CHUNK)):
        rows = Embedding.objects.filter(space=space, region=None, image_id__in=list(chunk))
        for image, vector in rows.values_list("image_id", "vector").order_by("image_id"):
            content = bytes(vector)
            width = width or len(content) // 2
            if len(content) == width * 2:
                out_digests.write(chunk[image].encode("utf-32-le").ljust(DIGEST_BYTES, b"\0"))
                out_vectors.write(content)
                count += 1
    return count, width


def _member(file: zipfile.ZipFile, name: str, kind: np.dtype[Any], shape: tuple[int, ...], source: Path) -> None:
    """One array of an .npz: its header, then its bytes as they lie on disk."""
    header = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    with file.open(f"{name}.npy", "w", force_zip64=True) as out, source.open("rb") as content:
        out.write(header.getvalue())
        shutil.copyfileobj(content, out, 1 << 20)
