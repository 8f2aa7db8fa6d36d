"""What the camera wrote: time, camera, place; and nothing, quietly, where it wrote nonsense."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.facts import read_facts
from classifier.types import Facts
from tests import pictures
from tests.pictures import exif_block, gps_at

_FULL = exif_block(
    orientation=6,
    captured_at="2021:03:04 05:06:07",
    utc_offset="-03:30",
    subsecond="25",
    make="RECONYX",
    model="HYPERFIRE 2",
    serial="H2F-0042",
    gps=gps_at(-12.5, 10.01, -31.5),
)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_facts_come_out_of_every_format(format_name: str) -> None:
    facts = read_facts(pictures.encoded(pictures.photograph(64, 48), format_name, exif=_FULL))
    assert facts.captured_at == datetime(2021, 3, 4, 5, 6, 7, 250_000)
    assert facts.utc_offset_minutes == -210
    assert (facts.camera_make, facts.camera_model, facts.camera_serial) == ("RECONYX", "HYPERFIRE 2", "H2F-0042")
    assert (facts.latitude, facts.longitude, facts.altitude) == (-12.5, 10.01, -31.5)


@pytest.mark.parametrize(
    "captured_at", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2021:13:40 99:00:00", "yesterday"]
)
def test_a_clock_never_set_gives_no_time(captured_at: str) -> None:
    assert read_facts(pictures.jpeg(exif=exif_block(captured_at=captured_at))).captured_at is None


@pytest.mark.parametrize(
    "gps",
    [
        gps_at(0.0, 0.0),
        {**gps_at(10.0, 20.0), 1: "Q"},
        {**gps_at(10.0, 20.0), 2: (95.0, 0.0, 0.0)},
        {1: "N", 2: (10.0, 0.0, 0.0)},
    ],
)
def test_an_impossible_place_is_no_place(gps: dict[int, object]) -> None:
    facts = read_facts(pictures.jpeg(exif=exif_block(gps=gps)))
    assert (facts.latitude, facts.longitude) == (None, None)


def test_a_fraction_with_nothing_below_is_no_place() -> None:
    block = exif_block(gps=gps_at(12.0, 34.0))
    broken = block.replace(b"\0\0\0\x22\0\0\0\x01", b"\0\0\0\x22\0\0\0\0")
    assert broken != block
    assert read_facts(pictures.jpeg(exif=broken)).longitude is None


@pytest.mark.parametrize(
    "data", [b"", b"hello", pictures.jpeg(), pictures.jpeg(exif=b"Exif\0\0rubbish"), pictures.gif()]
)
def test_no_metadata_gives_empty_facts(data: bytes) -> None:
    assert read_facts(data) == Facts()


@given(at=st.integers(0, len(_FULL) - 1), filling=st.binary(min_size=1, max_size=12))
def test_ruined_metadata_never_raises(at: int, filling: bytes) -> None:
    block = _FULL[:at] + filling + _FULL[at + len(filling) :]
    data = pictures.jpeg(8, 8, exif=_FULL)
    start = data.index(b"Exif\0\0")
    read_facts(data[:start] + block[: len(_FULL)] + data[start + len(_FULL) :])
