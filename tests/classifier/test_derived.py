"""What is derived from one decode: the thumbnail, the hash that near-duplicates share, the measures of quality."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from classifier.fingerprint import hamming, hash_of, perceptual_hash, quality, quality_of
from classifier.images import decode
from classifier.thumbnails import small_copy, thumbnail
from classifier.types import Decoded
from tests import pictures
from tests.pictures import photograph


def _decoded(image: Image.Image) -> Decoded:
    return Decoded(np.array(image.convert("RGB")), image.width, image.height)


@pytest.mark.parametrize(
    ("size", "expected"), [((900, 600), (256, 171)), ((30, 3000), (3, 256)), ((100, 50), (100, 50))]
)
def test_a_thumbnail_fits_its_side_and_is_never_enlarged(size: tuple[int, int], expected: tuple[int, int]) -> None:
    image = Image.open(io.BytesIO(thumbnail(_decoded(photograph(*size)), 256)))
    assert image.format == "JPEG"
    assert image.size == expected


def test_a_thumbnail_is_upright_and_carries_no_metadata() -> None:
    exif = pictures.exif_block(orientation=6, make="SECRET", gps=pictures.gps_at(1.0, 2.0))
    data = thumbnail(decode(pictures.jpeg(600, 400, exif=exif), at_least=256), 256)
    image = Image.open(io.BytesIO(data))
    assert image.height > image.width
    assert not image.getexif()
    assert b"SECRET" not in data


def test_a_thumbnail_shows_the_same_picture() -> None:
    small = Image.open(io.BytesIO(thumbnail(_decoded(photograph(900, 600)), 256)))
    expected = photograph(900, 600).resize(small.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(small, dtype=int) - np.asarray(expected, dtype=int)).mean() < 4


@pytest.mark.parametrize("seed", range(4))
def test_near_duplicates_share_a_hash_within_six_bits(seed: int) -> None:
    image = photograph(900, 600, seed=seed)
    original = perceptual_hash(_decoded(image))
    for other in (
        image.resize((300, 200)),
        image.resize((1300, 866)),
        Image.open(io.BytesIO(pictures.encoded(image, "JPEG", quality=30))),
        ImageEnhance.Brightness(image).enhance(0.9),
        image.filter(ImageFilter.GaussianBlur(2)),
        image.convert("L"),
    ):
        assert hamming(original, perceptual_hash(_decoded(other))) <= 6


def test_the_hash_does_not_depend_on_the_scale_of_the_decode() -> None:
    data = pictures.jpeg(1600, 1200, seed=2)
    hashes = [perceptual_hash(decode(data, at_least=side)) for side in (0, 300, 600)]
    assert max(hamming(hashes[0], other) for other in hashes) <= 3


def test_different_pictures_are_far_apart() -> None:
    hashes = [perceptual_hash(_decoded(photograph(seed=seed))) for seed in range(12)]
    distances = [hamming(one, other) for at, one in enumerate(hashes) for other in hashes[:at]]
    assert min(distances) > 10


def test_hashes_fit_a_signed_column_and_distances_count_bits() -> None:
    hashes = [perceptual_hash(_decoded(photograph(64, 48, seed=seed))) for seed in range(12)]
    assert all(-(2**63) <= value < 2**63 for value in hashes)
    assert any(value < 0 for value in hashes)
    assert hamming(-1, 0) == 64
    assert hamming(5, 5) == 0
    assert hamming(-1, 2**63 - 1) == 1


def test_a_featureless_picture_has_the_empty_hash() -> None:
    assert perceptual_hash(_decoded(Image.new("RGB", (50, 40), (90, 90, 90)))) == 0


def test_quality_tells_dark_from_bright_flat_from_rich_blurred_from_sharp() -> None:
    image = photograph(600, 400)
    plain = quality(_decoded(image))
    assert 0 <= plain.brightness <= 1
    assert quality(_decoded(ImageEnhance.Brightness(image).enhance(0.3))).brightness < plain.brightness
    assert quality(_decoded(ImageEnhance.Contrast(image).enhance(0.3))).contrast < plain.contrast
    assert quality(_decoded(image.filter(ImageFilter.GaussianBlur(8)))).sharpness < plain.sharpness / 2
    assert quality(_decoded(Image.new("RGB", (1, 1)))).sharpness == 0


def test_one_small_copy_serves_all() -> None:
    decoded = _decoded(photograph(900, 600))
    small = small_copy(decoded)
    assert hash_of(small) == perceptual_hash(decoded)
    assert quality_of(small) == quality(decoded)
