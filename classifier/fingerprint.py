"""Small numbers that describe a whole picture: a hash that near-duplicates share, and how bright and sharp it is.

All are taken from the 256-pixel copy of `classifier.thumbnails`, so they do not depend on the scale of the decode and
one copy can serve them all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.thumbnails import small_copy
from classifier.types import Decoded, Quality

HASH_SIDE = 32
_KEPT = 8
# Terms weaker than this (in grey levels summed over 32 x 32) are rounding of the decoder, not structure.
_NOISE_FLOOR = 1.0
_ODD_ACROSS = np.int64(0x5555_5555_5555_5555)


def _cosines(side: int, kept: int) -> NDArray[np.float32]:
    frequency = np.arange(kept)[:, None]
    place = np.arange(side)[None, :]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * side)).astype(np.float32)


_BASIS = _cosines(HASH_SIDE, _KEPT)


def perceptual_hash(decoded: Decoded) -> int:
    """A 64-bit hash of the coarse structure, signed to fit a BIGINT column; see `hash_of`."""
    return hash_of(small_copy(decoded))


def quality(decoded: Decoded) -> Quality:
    """Brightness, contrast and sharpness of a picture; see `quality_of`."""
    return quality_of(small_copy(decoded))


def hash_of(small: Image.Image) -> int:
    """DCT of a 32 x 32 grey copy, each of the 8 x 8 lowest terms against their median.

    Scaling, recompression and an even change of brightness move a few bits of it. A featureless picture hashes to 0, so
    callers should not take 0 for a likeness.
    """
    grey = np.asarray(small.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX), dtype=np.float32)
    return int(hashes_of(grey[None])[0])


def hashes_of(greys: NDArray[np.float32]) -> NDArray[np.int64]:
    """The hashes of many grey copies of 32 x 32; 0 for featureless ones."""
    centred = greys - greys.mean(axis=(1, 2), keepdims=True)
    terms = (_BASIS @ centred @ _BASIS.T).reshape(len(greys), _KEPT * _KEPT)
    bits = terms > np.median(terms[:, 1:], axis=1, keepdims=True)
    hashes = np.packbits(bits, axis=1).view(">i8")[:, 0].astype(np.int64)
    return np.where(np.abs(terms).max(axis=1, initial=0) < _NOISE_FLOOR, 0, hashes)


def mirrored(hashes: NDArray[np.int64]) -> NDArray[np.int64]:
    """About the hashes of the pictures as seen in a mirror: it turns the sign of every odd term across.

    About, since a bit tells a term from the median, which is near 0 but not 0: some 4 of 64 bits stray, at most 8.
    """
    return hashes ^ _ODD_ACROSS


def hamming(first: int, second: int) -> int:
    """The number of differing bits of two hashes, 0..64; up to about 6 the pictures are likely the same."""
    return ((first ^ second) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()


def quality_of(small: Image.Image) -> Quality:
    """Mean and spread of brightness in 0..1, and the strength of edges (variance of the Laplacian; 0: featureless)."""
    grey = np.asarray(small.convert("L"), dtype=np.float32) / 255.0
    return Quality(float(grey.mean()), min(1.0, 2.0 * float(grey.std())), _sharpness(grey))


def _sharpness(grey: NDArray[np.float32]) -> float:
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4.0 * inner
    return float(edges.var()) * 100.0
