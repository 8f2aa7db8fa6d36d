"""The loader: every mode and format to upright RGB, and as much of a damaged picture as there is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from classifier.errors import ImageRejected
from classifier.images import decode
from tests import pictures
from tests.pictures import photograph


def _differs(pixels: NDArray[np.uint8], image: Image.Image) -> float:
    """Mean difference in grey levels."""
    return float(np.abs(pixels.astype(int) - np.asarray(image.convert("RGB"), dtype=int)).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    decoded = decode(pictures.oriented_jpeg(orientation), at_least=0)
    assert _differs(decoded.pixels, photograph()) < 4
    assert (decoded.width, decoded.height) == (320, 240)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_other_formats_are_turned_like_jpeg(format_name: str, orientation: int) -> None:
    exif = pictures.exif_block(orientation=orientation)
    stored = photograph(96, 64)
    upright = decode(pictures.encoded(stored, "JPEG", quality=95, exif=exif), at_least=0)
    other = decode(pictures.encoded(stored, format_name, exif=exif), at_least=0)
    assert (other.width, other.height) == (upright.width, upright.height)
    assert _differs(other.pixels, Image.fromarray(upright.pixels)) < 6


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA"])
def test_every_png_mode_is_read(mode: str) -> None:
    expected = photograph(64, 48).convert(mode)
    assert _differs(decode(pictures.png(64, 48, mode=mode), at_least=0).pixels, expected) < 1


@pytest.mark.parametrize("make", [pictures.cmyk_jpeg, pictures.plain_cmyk_jpeg])
def test_inks_become_light_whoever_wrote_them(make: Callable[[], bytes]) -> None:
    assert _differs(decode(make(), at_least=0).pixels, photograph()) < 6


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(format_name: str) -> None:
    ramp = np.linspace(0, 65_535, 256, dtype=np.uint16)[None, :].repeat(4, axis=0)
    pixels = decode(pictures.encoded(Image.fromarray(ramp), format_name), at_least=0).pixels
    assert pixels[0, :, 0].tolist() == list(range(256))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_depths_without_a_white_of_their_own_are_stretched(dtype: type) -> None:
    values = np.array([[-5, 0, 5]], dtype=dtype)
    pixels = decode(pictures.encoded(Image.fromarray(values), "TIFF"), at_least=0).pixels
    assert pixels[0, :, 1].tolist() == [0, 128, 255]


def test_a_cutout_lies_on_mid_grey_without_its_hidden_colours() -> None:
    pixels = decode(pictures.cutout_png(colour=(200, 80, 20)), at_least=0).pixels
    assert pixels[0, 0].tolist() == [128, 128, 128]
    assert pixels[120, 160].tolist() == [200, 80, 20]


def test_a_transparent_palette_entry_lies_on_mid_grey() -> None:
    data = pictures.palette_alpha_png(64, 48)
    pixels = decode(data, at_least=0).pixels
    quantised = photograph(64, 48).quantize(16)
    hidden = np.asarray(quantised) == 0
    assert hidden.any()
    assert (pixels[hidden] == 128).all()
    assert (pixels[~hidden] == np.asarray(quantised.convert("RGB"))[~hidden]).all()


@pytest.mark.parametrize("make", [pictures.animated_webp, pictures.animated_png, pictures.mpo])
def test_the_first_frame_speaks_for_the_file(make: Callable[..., bytes]) -> None:
    assert _differs(decode(make(64, 48, seed=5), at_least=0).pixels, photograph(64, 48, seed=5)) < 6


@pytest.mark.parametrize("make", [pictures.jpeg, pictures.png, pictures.webp, pictures.tiff, pictures.avif])
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (2000, 3)])
def test_the_smallest_and_the_thinnest_are_read(make: Callable[..., bytes], size: tuple[int, int]) -> None:
    decoded = decode(make(*size), at_least=224)
    assert decoded.pixels.shape == (size[1], size[0], 3)
    assert decoded.pixels.dtype == np.uint8


@pytest.mark.parametrize("make", [pictures.jpeg, pictures.cmyk_jpeg, pictures.png, pictures.tiff])
@pytest.mark.parametrize("at_least", [0, 64, 224, 10_000])
def test_the_short_side_never_falls_below_what_was_asked(make: Callable[..., bytes], at_least: int) -> None:
    decoded = decode(make(800, 600), at_least=at_least)
    rows, columns = decoded.pixels.shape[:2]
    assert (decoded.width, decoded.height) == (800, 600)
    assert rows >= min(at_least, 600) if at_least else rows == 600
    assert abs(columns / rows - 4 / 3) < 0.02
    if at_least == 64:
        assert rows < 300


def test_a_reduced_decode_shows_the_same_picture() -> None:
    decoded = decode(pictures.jpeg(1200, 900, quality=95), at_least=300)
    rows, columns = decoded.pixels.shape[:2]
    expected = photograph(1200, 900).resize((columns, rows), Image.Resampling.BOX)
    assert _differs(decoded.pixels, expected) < 4


@pytest.mark.parametrize("at_least", [0, 60])
def test_a_rare_chroma_layout_is_read_too(at_least: int) -> None:
    data = bytearray(pictures.jpeg(640, 480))
    data[data.index(b"\xff\xc0") + 11] = 0x42
    pixels = decode(bytes(data), at_least=at_least).pixels
    assert pixels.shape[0] == (480 if at_least == 0 else 60)
    assert np.ptp(pixels) > 100


def test_a_giant_is_read_at_a_small_scale() -> None:
    data = pictures.encoded(Image.new("RGB", (9000, 6000), (10, 120, 30)), "JPEG")
    decoded = decode(data, at_least=224)
    assert decoded.pixels.shape[0] < 1000
    assert (decoded.width, decoded.height) == (9000, 6000)


def test_pixels_can_be_written_to_and_lie_in_one_piece() -> None:
    for data in (pictures.oriented_jpeg(6), pictures.png(), pictures.webp(), pictures.tiff()):
        pixels = decode(data, at_least=0).pixels
        assert pixels.flags.writeable
        assert pixels.flags.c_contiguous


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("options", [{}, {"restarts": True}, {"grey": True}])
def test_a_jpeg_cut_short_says_how_much_is_missing(share: float, options: dict[str, bool]) -> None:
    data = pictures.jpeg(640, 480, **options)
    decoded = decode(data[: int(len(data) * share)], at_least=0)
    assert abs(decoded.damaged_share - (1 - share)) < 0.15
    sound = int(480 * (1 - decoded.damaged_share)) - 16
    whole = decode(data, at_least=0).pixels
    assert (decoded.pixels[:sound] == whole[:sound]).all()


def test_a_flat_grey_picture_cut_short_is_not_taken_for_an_empty_one() -> None:
    image = Image.new("RGB", (640, 480), (128, 128, 128))
    image.paste(photograph(640, 20), (0, 460))
    data = pictures.encoded(image, "JPEG")
    share = decode(data[:-200], at_least=0).damaged_share
    assert 0 < share < 0.1


def test_the_last_bytes_count_as_damage_but_a_lost_end_marker_does_not() -> None:
    data = pictures.jpeg(640, 480)
    assert decode(data[:-40], at_least=0).damaged_share > 0
    assert decode(data[:-2], at_least=0).damaged_share == 0
    assert decode(data[:-2] + bytes(12) + b"\xff\xd9", at_least=0).damaged_share == 0


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_progressive_jpeg_cut_short_is_always_flagged(share: float) -> None:
    data = pictures.jpeg(640, 480, progressive=True)
    assert 0 < decode(data[: int(len(data) * share)], at_least=0).damaged_share < 1


@pytest.mark.parametrize("filling", [bytes(2048), b"\xff" * 700, b"\xff\xd8\xff\xe0" * 100])
def test_sectors_lost_in_the_middle_are_flagged(filling: bytes) -> None:
    share = decode(pictures.overwritten_jpeg(filling=filling), at_least=0).damaged_share
    assert 0.3 < share < 0.7


def test_what_could_not_be_read_is_flat_and_the_same_each_time() -> None:
    data = pictures.truncated_jpeg(0.4)
    first, second = decode(data, at_least=0), decode(data, at_least=0)
    assert (first.pixels == second.pixels).all()
    assert first.pixels[-40:].std() < 1


def test_a_png_cut_short_says_how_much_is_missing() -> None:
    decoded = decode(pictures.truncated_png(0.5), at_least=0)
    assert 0.3 < decoded.damaged_share < 0.7
    assert (decoded.pixels[:60] == np.asarray(photograph())[:60]).all()


def test_a_png_overwritten_in_the_middle_keeps_what_comes_before() -> None:
    data = bytearray(pictures.png())
    data[len(data) // 2 : len(data) // 2 + 512] = bytes(512)
    decoded = decode(bytes(data), at_least=0)
    assert 0.3 < decoded.damaged_share < 0.7
    assert (decoded.pixels[:60] == np.asarray(photograph())[:60]).all()


def test_large_flat_areas_are_not_taken_for_lost_sectors() -> None:
    """Tables made for one picture may code flat blocks as zeros: many of them are no damage."""
    image = Image.new("RGB", (4000, 2000))
    image.paste(photograph(400, 200), (0, 1800))
    for options in ({}, {"optimize": True}, {"progressive": True}):
        assert decode(pictures.encoded(image, "JPEG", **options), at_least=224).damaged_share == 0


def test_zeros_behind_the_end_of_a_picture_are_no_damage() -> None:
    assert decode(pictures.jpeg() + bytes(8192), at_least=0).damaged_share == 0


@pytest.mark.parametrize(
    "data",
    [
        pictures.jpeg()[:640],
        pictures.webp()[:3000],
        pictures.tiff()[:-9000] if len(pictures.tiff()) < 230_400 else pictures.tiff(compression="tiff_lzw")[:-9000],
        pictures.avif()[:4000],
        pictures.png()[:60],
    ],
    ids=["jpeg", "webp", "tiff", "avif", "png"],
)
def test_a_file_with_nothing_left_to_see_is_refused(data: bytes) -> None:
    with pytest.raises(ImageRejected) as refused:
        decode(data, at_least=224)
    assert refused.value.code in ("damaged", "bad-header")
    assert refused.value.status == 422


def test_a_jpeg_that_repeats_its_scans_is_refused_at_once() -> None:
    with pytest.raises(ImageRejected) as refused:
        decode(pictures.scan_bomb_jpeg(), at_least=224)
    assert refused.value.code == "too-many-scans"


def test_bytes_behind_the_end_of_a_picture_do_no_harm() -> None:
    decoded = decode(pictures.jpeg_zip_polyglot(), at_least=0)
    assert decoded.damaged_share == 0
    assert (decoded.pixels == decode(pictures.jpeg(), at_least=0).pixels).all()


def test_many_threads_get_the_same_pixels_as_one(tmp_path: Path) -> None:
    makers = (pictures.jpeg, pictures.cmyk_jpeg, pictures.png, pictures.webp, pictures.tiff, pictures.avif)
    paths = []
    for number, make in enumerate(makers * 3):
        paths.append(tmp_path / f"{number}")
        paths[-1].write_bytes(make(300, 200, seed=number))
    paths.append(tmp_path / "cut")
    paths[-1].write_bytes(pictures.truncated_jpeg(0.5))
    alone = [decode(path, at_least=100) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda path: decode(path, at_least=100), paths))
    for one, other in zip(alone, together, strict=True):
        assert (one.pixels == other.pixels).all()
        assert one.damaged_share == other.damaged_share
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


_GOLDEN_MEANS = (113.205, 114.199, 103.286)


def test_decoding_is_the_same_today_as_when_models_were_trained() -> None:
    """The golden values: whoever changes the loader changes what every trained version sees."""
    decoded = decode(pictures.jpeg(1200, 900, seed=3), at_least=256)
    assert decoded.pixels.shape == (338, 450, 3)
    assert np.allclose(decoded.pixels.mean(axis=(0, 1)), _GOLDEN_MEANS, atol=0.05)
