"""Makes run folders: drawn pictures of invented animals with a manifest, the same for the same arguments."""

from __future__ import annotations

import colorsys
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.creatures import creature
from training.contract import (
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    ManifestHead,
    ManifestLabel,
    ManifestLine,
    head_text,
    line_text,
)

SITES = 6


Draw = Callable[[int, int, int], Image.Image]


def creatures(kind: int, seed: int, side: int) -> Image.Image:
    return creature(kind, seed, side=side)


def colours(kind: int, seed: int, side: int) -> Image.Image:
    """A noisy field of a kind's own colour: even the mean of its pixels tells the kind."""
    random = np.random.default_rng([kind, seed])
    red, green, blue = colorsys.hsv_to_rgb(kind * 0.381966 % 1, 0.9, 0.9)
    field = np.array([red, green, blue]) * 255 * random.uniform(0.8, 1) + random.normal(0, 12, (side, side, 3))
    return Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))


def grey(kind: int, seed: int, side: int) -> Image.Image:
    """Noise that says nothing of its kind."""
    return Image.fromarray(np.random.default_rng(seed).integers(90, 160, (side, side, 3), dtype=np.uint8))


def store_pictures(
    root: Path, counts: Mapping[str, Sequence[int]], *, side: int = 64, draw: Draw = creatures
) -> list[ManifestLine]:
    """Draw `counts[part][kind]` pictures of each kind into a store; returns their lines."""
    lines: list[ManifestLine] = []
    for part in PARTS:
        for kind, count in enumerate(counts.get(part, ())):
            for _ in range(count):
                number = len(lines) + 1
                data = _jpeg(draw(kind, number, side))
                sha256 = hashlib.sha256(data).hexdigest()
                path = root / sha256[:2] / sha256[2:4] / f"{sha256}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                lines.append(
                    ManifestLine(
                        image=number,
                        sha256=sha256,
                        part=part,
                        path=f"{part}/kind-{kind}/{number}.jpg",
                        label=f"kind-{kind}",
                        trusted=True,
                        group=f"site-{part}-{number % SITES}",
                        site=f"site-{number % SITES}",
                        cluster=number,
                        width=side,
                        height=side,
                        size=len(data),
                        media_type="image/jpeg",
                    )
                )
    return lines


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def write_run(folder: Path, lines: Sequence[ManifestLine], store: Path, **head: Any) -> Path:
    """A run folder over pictures that lie in a store."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = sorted({line.label for line in lines if line.label})
    labels = head.pop("labels", tuple(ManifestLabel(kind, kind.replace("-", " ").title()) for kind in kinds))
    made = ManifestHead(project="made", seed=0, labels=labels, classes=tuple(kinds), **head)
    with gzip.open(folder / "manifest.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(head_text(made))
        file.writelines(line_text(line) for line in lines)
    (folder / "pictures.json").write_text(json.dumps({"root": str(store), "ending": {"image/jpeg": ".jpg"}}))
    return folder


def make_run(
    folder: Path,
    *,
    train: Sequence[int],
    validation: int = 4,
    test: int = 4,
    side: int = 64,
    draw: Draw = creatures,
) -> Path:
    """A run folder of its own, with `train[kind]` training pictures of each kind."""
    counts = {TRAIN: train, VALIDATION: [validation] * len(train), TEST: [test] * len(train)}
    store = folder.with_name(f"{folder.name}-store")
    return write_run(folder, store_pictures(store, counts, side=side, draw=draw), store)
