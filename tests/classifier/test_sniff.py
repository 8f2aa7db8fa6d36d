"""The door: what is let in by its header alone, and what each refused file is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from classifier.errors import ImageRejected
from classifier.sniff import Limits, sniff, sniff_bytes
from tests import pictures


@pytest.mark.parametrize(
    ("make", "format_name", "media_type"),
    [
        (pictures.jpeg, "JPEG", "image/jpeg"),
        (pictures.cmyk_jpeg, "JPEG", "image/jpeg"),
        (pictures.mpo, "MPO", "image/jpeg"),
        (pictures.png, "PNG", "image/png"),
        (pictures.png16, "PNG", "image/png"),
        (pictures.webp, "WEBP", "image/webp"),
        (pictures.tiff, "TIFF", "image/tiff"),
        (pictures.avif, "AVIF", "image/avif"),
    ],
)
def test_each_format_is_known_by_its_content(
    tmp_path: Path, make: Callable[..., bytes], format_name: str, media_type: str
) -> None:
    path = tmp_path / "misleading.txt"
    path.write_bytes(make(321, 123))
    header = sniff(path)
    assert (header.format, header.media_type) == (format_name, media_type)
    assert (header.width, header.height, header.orientation) == (321, 123, 1)


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": pictures.exif_block(orientation=6)}])
def test_every_kind_of_webp_says_its_size(options: dict[str, bool]) -> None:
    header = sniff_bytes(pictures.webp(97, 41, **options))
    expected = (41, 97) if "exif" in options else (97, 41)
    assert (header.width, header.height) == expected


@pytest.mark.parametrize("big", [False, True])
def test_classic_and_big_tiff_say_their_size_and_pages(big: bool) -> None:
    header = sniff_bytes(pictures.tiff(50, 40, pages=3, big_tiff=big))
    assert (header.width, header.height, header.frames) == (50, 40, 3)


@pytest.mark.parametrize("make", [pictures.animated_webp, pictures.animated_png])
def test_animations_count_their_frames(make: Callable[..., bytes]) -> None:
    assert sniff_bytes(make(40, 30, frames=4)).frames == 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_size_is_that_of_the_upright_picture(format_name: str, orientation: int) -> None:
    exif = pictures.exif_block(orientation=orientation)
    header = sniff_bytes(pictures.encoded(pictures.photograph(64, 48), format_name, exif=exif))
    assert header.orientation == orientation
    assert (header.width, header.height) == ((48, 64) if orientation >= 5 else (64, 48))


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_an_impossible_orientation_is_taken_as_upright(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert sniff_bytes(pictures.jpeg(exif=exif.tobytes())).orientation == 1


@pytest.mark.parametrize(
    ("make", "code", "status", "words"),
    [
        (pictures.zero_byte, "empty", 400, "empty"),
        (pictures.html_named_jpg, "not-an-image", 415, "web page"),
        (lambda: b"just words\n", "not-an-image", 415, "text file"),
        (pictures.zeros, "not-an-image", 415, "only zeros"),
        (pictures.random_bytes, "not-an-image", 415, "not a picture"),
        (pictures.gif, "unsupported-format", 415, "GIF"),
        (pictures.gif_polyglot, "unsupported-format", 415, "GIF"),
        (lambda: b"BM" + bytes(60), "unsupported-format", 415, "BMP"),
        (lambda: b"8BPS" + bytes(60), "unsupported-format", 415, "Photoshop"),
        (lambda: b"%PDF-1.7\n", "unsupported-format", 415, "PDF"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "unsupported-format", 415, "PostScript"),
        (pictures.svg, "unsupported-format", 415, "SVG"),
        (pictures.heic_header, "unsupported-format", 415, "HEIC"),
        (pictures.raw_tiff, "unsupported-format", 415, "raw"),
        (pictures.zip_slip, "unsupported-format", 415, "zip archive"),
        (pictures.bomb_png, "too-many-pixels", 413, "50000 x 50000"),
        (pictures.bomb_jpeg, "too-many-pixels", 413, "65000 x 65000"),
        (pictures.text_chunk_bomb_png, "too-much-text", 413, "hidden text"),
        (lambda: pictures.jpeg()[:100], "bad-header", 422, "before its picture data"),
        (lambda: pictures.png()[:20], "bad-header", 422, "header"),
        (lambda: pictures.webp()[:20], "bad-header", 422, "WebP"),
        (lambda: pictures.tiff()[:100], "bad-header", 422, "header"),
        (lambda: pictures.avif()[:60], "bad-header", 422, "header"),
    ],
)
def test_each_bad_file_gets_its_own_answer(make: Callable[[], bytes], code: str, status: int, words: str) -> None:
    with pytest.raises(ImageRejected) as refused:
        sniff_bytes(make())
    assert (refused.value.code, refused.value.status) == (code, status)
    assert words.lower() in refused.value.reason.lower()


def test_limits_can_be_drawn_tighter() -> None:
    for limits, code in (
        (Limits(max_bytes=100), "too-large"),
        (Limits(max_pixels=999), "too-many-pixels"),
        (Limits(max_side=50), "too-many-pixels"),
        (Limits(max_frames=2), "too-many-frames"),
    ):
        with pytest.raises(ImageRejected) as refused:
            sniff_bytes(pictures.animated_webp(60, 40, frames=3), limits=limits)
        assert (refused.value.code, refused.value.status) == (code, 413)


@given(
    data=st.binary(max_size=400), start=st.sampled_from(["jpeg", "png", "webp", "tiff", "avif"]), cut=st.floats(0, 1)
)
def test_no_header_however_broken_gives_anything_but_a_refusal(data: bytes, start: str, cut: float) -> None:
    whole = getattr(pictures, start)(16, 16)
    at = int(len(whole) * cut)
    try:
        sniff_bytes(whole[:at] + data + whole[at + len(data) :])
    except ImageRejected as refused:
        assert refused.reason and refused.code


def test_the_door_loads_no_numpy_and_no_decoder() -> None:
    program = (
        "import sys, classifier.sniff, classifier.facts; print(sorted({'numpy', 'PIL', 'torch'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
