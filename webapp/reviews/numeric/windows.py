"""Is one picture a part of another, or its mirror image? Told from grey copies of 32 x 32.

A bank of windows (the middle of a picture at several sizes, and all but its foot) is hashed as if each were a picture,
so that a cropped copy is found by a search over hashes. Whether two pictures are one then depends on all their tiles:
scenes that a still camera sees share nearly everything but the animal.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.fingerprint import HASH_SIDE, hashes_of
from webapp.reviews.numeric.hashes import Pairs
from webapp.reviews.numeric.spaces import blocks

Greys = NDArray[np.uint8]
Floats = NDArray[np.float32]

MIDDLES = (0.9, 0.84, 0.8, 0.76, 0.7)
FOOTLESS = (0.94, 0.88)
WINDOWS = tuple((share, share, 0.5) for share in MIDDLES) + tuple((share, 1.0, 0.0) for share in FOOTLESS)
"""How much of the height and of the width is left, and where the window stands in the height (0: at the top)."""
TILES = 8
APART = 0.4
BLOCK = 4096


def grey_copy(thumbnail: Path | BinaryIO) -> bytes:
    """The grey copy of a thumbnail, row by row; raises OSError where it cannot be read."""
    with Image.open(thumbnail) as picture:
        picture.draft("L", (2 * HASH_SIDE, 2 * HASH_SIDE))
        return picture.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX).tobytes()


def bank(greys: Greys, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """For each window the hashes of the pictures in those rows, 0 where it is featureless."""
    for down, across, begin in WINDOWS:
        hashes = np.empty(len(rows), dtype=np.int64)
        for part in blocks(len(rows)):
            hashes[part] = hashes_of(_seen(np.asarray(greys[rows[part]], dtype=np.float32), down, across, begin))
        yield hashes


def agree(greys: Greys, pairs: Pairs) -> NDArray[np.bool_]:
    """Whether the two of each pair show the same everywhere, one of them cropped or mirrored or not.

    Everywhere: no tile of 8 x 8 differs by 0.4 of the picture's own spread. The topmost and the lowest tiles are not
    asked, because captions are written there.
    """
    found = np.zeros(len(pairs), dtype=np.bool_)
    for part in blocks(len(pairs), BLOCK):
        found[part] = _agree(greys, pairs[part])
    return found


def _agree(greys: Greys, pairs: Pairs) -> NDArray[np.bool_]:
    """Tiles are made once for each picture, however many pairs it is in; windows only of pairs that still need them."""
    whole, ends = _gathered(greys, pairs)
    plain = _tiles(whole)
    same = _match(plain, plain, ends)
    left = np.flatnonzero(~same)
    whole, ends = _gathered(greys, pairs[left])
    plain = _tiles(whole)
    for down, across, begin in WINDOWS:
        inside = _tiles(_seen(whole, down, across, begin))
        same[left] |= _match(inside, plain, ends) | _match(plain, inside, ends)
    return same


def _gathered(greys: Greys, pairs: Pairs) -> tuple[Floats, Pairs]:
    """The pictures of those pairs, each once, and the pairs as places among them."""
    rows, ends = np.unique(pairs, return_inverse=True)
    return np.asarray(greys[rows], dtype=np.float32), ends.reshape(pairs.shape)


def _match(one: Floats, other: Floats, ends: Pairs) -> NDArray[np.bool_]:
    """Whether the tiles of the first of each pair, among the one, are close to those of the second, turned or not."""
    first, second = one[ends[:, 0]], other[ends[:, 1]]
    return _close(first, second) | _close(first, second[:, :, ::-1])


def _tiles(greys: Floats) -> Floats:
    """Mean brightness of tiles, as multiples of the spread of the rows that are asked."""
    side = HASH_SIDE // TILES
    rows = greys[:, side:-side]
    spread = np.maximum(rows.std(axis=(1, 2), keepdims=True), 1e-3)
    even = (rows - rows.mean(axis=(1, 2), keepdims=True)) / spread
    return np.asarray(even.reshape(len(greys), TILES - 2, side, TILES, side).mean(axis=(2, 4)), dtype=np.float32)


def _close(one: Floats, other: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.abs(one - other).max(axis=(1, 2), initial=0) < APART)


def _seen(greys: Floats, down: float, across: float, begin: float) -> Floats:
    """The window of each picture, at the size of a whole one."""
    return np.asarray(_sampling(down, begin) @ greys @ _sampling(across, 0.5).T, dtype=np.float32)


def _sampling(share: float, begin: float) -> Floats:
    """Linear interpolation along one side: row n has the weights from which point n of the window is mixed."""
    places = (1.0 - share) * begin * HASH_SIDE + share * (np.arange(HASH_SIDE) + 0.5) - 0.5
    below = np.floor(places).astype(int)
    weights = np.zeros((HASH_SIDE, HASH_SIDE), dtype=np.float32)
    for step, weight in ((0, below + 1 - places), (1, places - below)):
        np.add.at(weights, (np.arange(HASH_SIDE), np.clip(below + step, 0, HASH_SIDE - 1)), weight)
    return weights
