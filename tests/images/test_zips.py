"""Reading hostile zips: the reader against the standard library's, and against harm."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import pictures
from webapp.images import zips
from webapp.images.zips import ArchiveRefused, EntryRefused, ZipLimits

LIMITS = ZipLimits()


def read_all(content: bytes, limits: ZipLimits = LIMITS) -> dict[str, bytes]:
    file = io.BytesIO(content)
    table = zips.find_table(file, limits)
    counter = zips.Counter(len(content), limits)
    return {
        entry.name: b"".join(zips.read_entry(file, table, entry, counter))
        for entry in list(zips.entries(file, table, limits))
    }


def refusals(content: bytes) -> dict[str, str]:
    file = io.BytesIO(content)
    found = {}
    for entry in zips.entries(file, zips.find_table(file, LIMITS), LIMITS):
        refused = zips.refusal(entry)
        if refused is not None:
            found[entry.name] = refused.code
    return found


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/\\"), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(NAMES, st.binary(max_size=5000), max_size=8),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.binary(max_size=40),
    st.booleans(),
)
def test_it_reads_what_the_standard_library_wrote(
    members: dict[str, bytes], method: int, before: bytes, is_streamed: bool
) -> None:
    file = io.BytesIO()
    file.write(before)
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=is_streamed) as entry:
                entry.write(content)
    assert read_all(file.getvalue()) == members


@pytest.mark.long
def test_a_zip_with_more_than_65535_entries_is_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(65_600):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    table = zips.find_table(file, LIMITS)
    assert sum(1 for _ in zips.entries(file, table, LIMITS)) == 65_600
    with pytest.raises(ArchiveRefused, match="more than 1,000 files"):
        list(zips.entries(file, table, ZipLimits(entries=1000)))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not-a-zip"),
        (b"PK\x03\x04 and nothing else", "not-a-zip"),
        (pictures.archive({"a.jpg": b"x" * 500})[:-30], "not-a-zip"),
    ],
)
def test_a_file_that_is_no_whole_zip_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(ArchiveRefused) as caught:
        read_all(content)
    assert caught.value.code == code


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_zip_is_refused_and_never_breaks_the_reader(data: st.DataObject) -> None:
    content = bytearray(pictures.archive({"a.jpg": b"picture" * 50, "b/c.jpg": b"other"}))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_all(bytes(content))
    except (ArchiveRefused, EntryRefused) as refused:
        assert refused.what


def named(name: str, **attributes: object) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("x" * len(name))
        for key, value in attributes.items():
            setattr(info, key, value)
        archive.writestr(info, b"content")
    return file.getvalue().replace(b"x" * len(name), name.encode())


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", "C:/a.jpg", "..\\a.jpg", "\\a.jpg", "a\0.jpg", "a/.."]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    assert list(refusals(named(name)).values()) == ["zip-name"]


def test_folders_that_windows_wrote_with_backslashes_are_folders() -> None:
    assert read_all(named("trip\\day 1\\a.jpg")) == {"trip/day 1/a.jpg": b"content"}


def test_links_devices_passwords_and_other_methods_are_refused() -> None:
    assert refusals(pictures.zip_symlink()) == {"link.jpg": "zip-link"}
    assert refusals(named("a.jpg", external_attr=0o020666 << 16)) == {"a.jpg": "zip-link"}
    assert list(refusals(pictures.zip_encrypted()).values()) == ["zip-encrypted"]
    assert refusals(pictures.archive({"a.jpg": b"a" * 99}, compression=zipfile.ZIP_LZMA)) == {"a.jpg": "zip-method"}


def test_plain_entries_are_not_refused() -> None:
    assert refusals(pictures.archive({"a..b/..c.jpg": b"", "folder/": b"", "ünï.jpg": b""})) == {}


def test_sizes_are_counted_and_not_believed() -> None:
    limits = ZipLimits(entry_bytes=100_000)
    with pytest.raises(EntryRefused) as caught:
        read_all(pictures.zip_lying(), limits)
    assert caught.value.code == "too-large"


def test_an_entry_that_grows_far_too_much_is_refused() -> None:
    with pytest.raises(EntryRefused) as caught:
        read_all(pictures.archive({"a.jpg": bytes(40 * 2**20)}))
    assert caught.value.code == "zip-ratio"


def test_a_bomb_is_stopped_by_what_has_come_out() -> None:
    bomb = pictures.archive({f"{number}.jpg": bytes(2**20) for number in range(8)})
    with pytest.raises(ArchiveRefused) as caught:
        read_all(bomb, ZipLimits(archive_grace=4 * 2**20))
    assert caught.value.code == "zip-bomb"
    with pytest.raises(ArchiveRefused):
        read_all(bomb, ZipLimits(total_bytes=5 * 2**20))


def test_many_names_for_one_block_of_data_open_it_once() -> None:
    with pytest.raises(EntryRefused) as caught:
        read_all(pictures.zip_bomb(1, entries=64))
    assert caught.value.code == "zip-damaged"


def test_a_changed_byte_is_found_by_the_checksum() -> None:
    content = bytearray(pictures.archive({"a.jpg": b"0123456789" * 10}, compression=zipfile.ZIP_STORED))
    content[content.index(b"0123456789") + 3] ^= 1
    with pytest.raises(EntryRefused) as caught:
        read_all(bytes(content))
    assert caught.value.code == "zip-damaged"


def test_offsets_that_wrapped_at_four_gigabytes_are_found_again(tmp_path: Path) -> None:
    """As a Mac writes a zip of 5 GB: no zip64 fields, and every offset modulo 2**32."""
    far = 2**32 + 1000
    first, second = (pictures.archive({name: name.encode() * 9}) for name in ("near.jpg", "distant.jpg"))
    tables = [content.index(b"PK\x01\x02") for content in (first, second)]
    lines = [
        bytearray(content[at : content.index(b"PK\x05\x06")])
        for content, at in zip((first, second), tables, strict=True)
    ]
    struct.pack_into("<L", lines[1], 42, far % 2**32)
    with (tmp_path / "large.zip").open("wb+") as file:
        file.write(first[: tables[0]])
        file.seek(far)
        file.write(second[: tables[1]])
        table_at = file.tell()
        file.write(b"".join(lines))
        size = sum(map(len, lines))
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, size, table_at % 2**32, 0))
        table = zips.find_table(file, LIMITS)
        counter = zips.Counter(table.file_size, LIMITS)
        found = list(zips.entries(file, table, LIMITS))
        contents = [b"".join(zips.read_entry(file, table, entry, counter)) for entry in found]
    assert contents == [b"near.jpg" * 9, b"distant.jpg" * 9]


def test_memory_stays_flat_however_large_table_and_entries_are() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("large"), bytes(16 * 2**20))
        for number in range(4_000):
            archive.writestr(zipfile.ZipInfo(f"folder/{number:0100}"), b"")
    tracemalloc.start()
    table = zips.find_table(file, LIMITS)
    counter = zips.Counter(10**9, LIMITS)
    for entry in zips.entries(file, table, LIMITS):
        for _ in zips.read_entry(file, table, entry, counter):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_a_table_that_would_fill_the_memory_is_refused_unread() -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 200, 0, 0)
    with pytest.raises(ArchiveRefused, match="lists more than"):
        zips.find_table(io.BytesIO(bytes(300) + end), ZipLimits(table_bytes=100))
