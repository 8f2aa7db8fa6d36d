"""Names that senders give their files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.images.paths import LONGEST, normalise_path
from webapp.images.side_files import side_kind, summarise_side_files


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("site 1/IMG_0001.JPG", "site 1/IMG_0001.JPG"),
        ("C:\\photos\\trip\\a.jpg", "photos/trip/a.jpg"),
        ("/etc/passwd", "etc/passwd"),
        ("../../a.jpg", "a.jpg"),
        ("a//b/./c.jpg", "a/b/c.jpg"),
        ("a\0b.jpg", "a\N{REPLACEMENT CHARACTER}b.jpg"),
        ("e\u0301te\u0301.jpg", "\u00e9t\u00e9.jpg"),
        ("photo\u202egpj.exe", "photo\N{REPLACEMENT CHARACTER}gpj.exe"),
        ("\ud800.jpg", "?.jpg"),
        ("..", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_one_file_has_one_spelling(raw: str, kept: str) -> None:
    assert normalise_path(raw) == kept


def test_two_long_paths_that_end_alike_stay_two() -> None:
    one, two = (normalise_path(f"{start}/{'folder/' * 300}IMG_1.JPG") for start in ("a", "b"))
    assert one != two
    assert len(one) == len(two) == LONGEST
    assert one.endswith("folder/IMG_1.JPG")


@given(st.text(max_size=1500))
def test_normalising_twice_is_normalising_once_and_fits_the_column(raw: str) -> None:
    once = normalise_path(raw)
    assert normalise_path(once) == once
    assert 0 < len(once) <= LONGEST
    once.encode()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("DCIM/100/MVI_1.THM", ".thm"),
        ("a/Thumbs.db", "thumbs.db"),
        ("a/.DS_Store", ".ds_store"),
        ("a/._IMG_1.JPG", "._*"),
        ("__MACOSX/a/IMG_1.JPG", "__macosx"),
        ("desktop.ini", "desktop.ini"),
        ("IMG_1.xmp", ".xmp"),
        ("IMG_1.JPG", None),
        ("thumbs.jpg", None),
        ("README", None),
        (".jpg", None),
    ],
)
def test_side_files_are_known_by_name(path: str, kind: str | None) -> None:
    assert side_kind(path) == kind


def test_a_raw_file_is_left_out_only_beside_its_jpeg() -> None:
    side = summarise_side_files(["a/IMG_1.CR2", "a/IMG_1.JPG", "b/IMG_1.CR2", "a/Thumbs.db"])
    assert side.wanted == ("a/IMG_1.JPG", "b/IMG_1.CR2")
    assert side.counts == {".cr2 beside JPEG": 1, "thumbs.db": 1}
