"""Photograph-like JPEGs of about 2.5 megapixels and 840 kB: smooth light, edges, and the grain of a sensor."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageFilter

WIDTH, HEIGHT = 1824, 1368
QUALITY = 90


def photo(seed: int) -> bytes:
    """One picture; the same seed gives the same bytes."""
    random = np.random.default_rng(seed)
    light = Image.fromarray(random.integers(30, 226, (9, 12, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT), 3)
    shapes = Image.fromarray(random.integers(0, 256, (57, 76, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT), 0)
    mask = Image.fromarray((random.random((57, 76)) < 0.3).astype(np.uint8) * 140).resize((WIDTH, HEIGHT), 1)
    scene = Image.composite(shapes, light, mask).filter(ImageFilter.GaussianBlur(2))
    grain = random.normal(0, 6.0, (HEIGHT, WIDTH, 1))
    pixels = np.clip(np.asarray(scene, dtype=np.float32) + grain, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def photos(count: int, threads: int = 2) -> list[bytes]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(photo, range(count)))


def distinct(picture: bytes, number: int) -> bytes:
    """The same picture as another file: a comment segment makes its digest new and costs the decoder nothing."""
    note = f"osprey bench {number}".encode()
    return picture[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + picture[2:]
