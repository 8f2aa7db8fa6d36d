"""Decode once: small copies of the training pictures, and the validation pictures ready as the network reads them."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from classifier.card import Card
from classifier.errors import ImageRejected
from classifier.images import decode
from classifier.preprocessing import decode_side, to_input
from training.contract import ManifestLine, Progress, RunConfig
from training.pictures import Pictures
from training.run_folder import RunFolder

ORIGINALS = -1
_QUALITY = 95

A = TypeVar("A")
B = TypeVar("B")


def side_of(config: RunConfig, card: Card) -> int:
    """Short side of the small copies; random crops need more pixels than the network reads."""
    return config.cache_side or round(max(card.input_size) * 9 / 7)


@dataclass(frozen=True, slots=True)
class SmallCopies:
    """Training pictures by content, as JPEGs of one short side; with side -1, the originals."""

    folder: Path
    side: int
    pictures: Pictures

    def read(self, line: ManifestLine) -> NDArray[np.uint8]:
        """The pixels of a picture, height x width x 3. Safe in any thread."""
        if self.side == ORIGINALS:
            return decode(self.pictures.path_of(line), at_least=0).pixels
        return np.asarray(simplejpeg.decode_jpeg(self._path(line).read_bytes(), colorspace="RGB"))

    def make(self, line: ManifestLine) -> bool:
        """Make the copy unless it is there; False when the picture cannot be read."""
        path = self._path(line)
        if self.side == ORIGINALS:
            return self.pictures.path_of(line).exists()
        if path.exists():
            return True
        try:
            pixels = decode(self.pictures.path_of(line), at_least=self.side).pixels
        except (ImageRejected, OSError):
            return False
        data = simplejpeg.encode_jpeg(_shrunk(pixels, self.side), quality=_QUALITY, colorsubsampling="444")
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        beside.write_bytes(data)
        beside.replace(path)
        return True

    def _path(self, line: ManifestLine) -> Path:
        return self.folder / str(self.side) / line.sha256[:2] / f"{line.sha256}.jpg"


def _shrunk(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    share = side / min(height, width)
    if share >= 1:
        return np.ascontiguousarray(pixels)
    size = (max(side, round(width * share)), max(side, round(height * share)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def fill(copies: SmallCopies, lines: Sequence[ManifestLine], folder: RunFolder, workers: int) -> NDArray[np.intp]:
    """Make all copies; returns the positions of the pictures that can be read."""
    folder.stage("copying", f"small copies of {len(lines)} pictures, once", of=len(lines))
    kept = [number for number, made in enumerate(_in_threads(copies.make, lines, folder, "copying", workers)) if made]
    if len(kept) < len(lines):
        folder.log(f"{len(lines) - len(kept)} of {len(lines)} training pictures cannot be read and are left out")
    return np.array(kept, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Pictures as the network reads them in service (n x height x width x 3), and which of those asked for they are."""

    pixels: NDArray[np.uint8]
    positions: NDArray[np.intp]


def inputs_of(lines: Sequence[ManifestLine], pictures: Pictures, card: Card, folder: RunFolder, workers: int) -> Inputs:
    """Network inputs by the code that serves, made once and kept in a file that is read page by page."""
    how = (card.input_size, card.mean, card.interpolation, card.crop_pct, card.crop_mode)
    name = hashlib.sha256(repr((how, [line.sha256 for line in lines])).encode()).hexdigest()[:16]
    path = folder.cache / f"inputs-{name}.npy"
    kept = folder.cache / f"inputs-{name}-positions.npy"
    if not path.exists() or not kept.exists():
        folder.cache.mkdir(parents=True, exist_ok=True)
        _write_inputs(lines, pictures, card, folder, workers, path, kept)
    positions = np.load(kept, allow_pickle=False)
    pixels = np.load(path, mmap_mode="r", allow_pickle=False)[: len(positions)]
    return Inputs(pixels, positions)


def _write_inputs(
    lines: Sequence[ManifestLine],
    pictures: Pictures,
    card: Card,
    folder: RunFolder,
    workers: int,
    path: Path,
    kept: Path,
) -> None:
    def prepared(line: ManifestLine) -> NDArray[np.uint8] | None:
        try:
            return to_input(card, decode(pictures.path_of(line), at_least=decode_side(card)).pixels)
        except (ImageRejected, OSError):
            return None

    if lines:
        folder.stage("preparing", f"{len(lines)} pictures as the network reads them", of=len(lines))
    beside = path.with_name(f".{path.name}")
    shape = (max(1, len(lines)), *card.input_size, 3)
    pixels = np.lib.format.open_memmap(beside, mode="w+", dtype=np.uint8, shape=shape)
    positions: list[int] = []
    for number, made in enumerate(_in_threads(prepared, lines, folder, "preparing", workers)):
        if made is not None:
            pixels[len(positions)] = made
            positions.append(number)
    pixels.flush()
    np.save(kept, np.array(positions, dtype=np.intp))
    beside.replace(path)


def _in_threads(act: Callable[[A], B], things: Sequence[A], folder: RunFolder, stage: str, workers: int) -> Iterator[B]:
    """Results in order, with a word of progress each second."""
    begun = said = time.monotonic()
    with ThreadPoolExecutor(workers) as threads:
        for done, result in enumerate(threads.map(act, things), start=1):
            yield result
            now = time.monotonic()
            if now - said > 1:
                said = now
                rate = done / (now - begun)
                left = (len(things) - done) / rate
                folder.say(
                    Progress(
                        kind="work",
                        at=time.time(),
                        stage=stage,
                        done=done,
                        of=len(things),
                        images_per_second=rate,
                        seconds_left=left,
                    )
                )
