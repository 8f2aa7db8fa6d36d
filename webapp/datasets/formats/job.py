"""What every writer needs: names that are safe and used once, pictures copied along, and the list of what stays out."""

from __future__ import annotations

import csv
import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, cast

from classifier.errors import ImageRejected
from classifier.sniff import sniff
from webapp.datasets.formats.cells import TableWriter
from webapp.datasets.formats.output import Output
from webapp.datasets.formats.records import AnnotationRecord, Head, ImageRecord, LabelRecord, SourceError
from webapp.datasets.formats.values import is_empty_word

LEFT_OUT_FILE = "left_out.csv"
_EXAMPLES = 20
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\\ud800-\udfff]')
_LONGEST = 180


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One reason why something is not in an export, how often, and the first few of it."""

    code: str
    reason: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """What an export holds and what it does not; the whole list of the latter is its file left_out.csv."""

    counts: Mapping[str, int]
    left_out: tuple[LeftOut, ...] = ()


@dataclass
class _Reason:
    text: str
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Job:
    """One export while it is written."""

    def __init__(self, head: Head, out: Output, options: Mapping[str, Any], *, with_images: bool = True) -> None:
        self.head, self.out = head, out
        self.with_images = bool(options.get("with_images", with_images))
        self.counts: Counter[str] = Counter(images=0)
        self._reasons: dict[str, _Reason] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="osprey-export-")
        self._list = (Path(self._folder.name) / "left_out.csv").open("w+", encoding="utf-8", newline="")
        self._names = sqlite3.connect(Path(self._folder.name) / "names.sqlite3", check_same_thread=False)
        self._names.execute("PRAGMA journal_mode=OFF")
        self._names.execute("PRAGMA synchronous=OFF")
        self._names.execute("CREATE TABLE name (name TEXT PRIMARY KEY) WITHOUT ROWID")

    def leave_out(self, what: str, code: str, reason: str) -> None:
        """Say that something of an image, or a whole image, is not in the export."""
        known = self._reasons.setdefault(code, _Reason(reason))
        known.count += 1
        if len(known.examples) < _EXAMPLES:
            known.examples.append(what)
        csv.writer(self._list).writerow([what, code, reason])

    def place(self, wanted: str, *, whole_stem: bool = False) -> str:
        """A safe name that no other file has, on disks that ignore case too; `whole_stem`: nor its stem."""
        safe = safe_name(wanted)
        stem, dot, ending = safe.rpartition(".") if "." in safe.rpartition("/")[2] else (safe, "", "")
        number = 1
        while True:
            name = stem if number == 1 else f"{stem}-{number}"
            if self._claim(name if whole_stem else f"{name}{dot}{ending}"):
                return f"{name}{dot}{ending}"
            number += 1

    def _claim(self, name: str) -> bool:
        return self._names.execute("INSERT OR IGNORE INTO name VALUES (?)", (name.casefold(),)).rowcount == 1

    def copy(self, record: ImageRecord, name: str) -> None:
        """Put the picture in, where pictures are wanted and this one is at hand."""
        self.counts["images"] += 1
        if not self.with_images:
            return
        if record.file is None:
            self.leave_out(record.path, "no-file", "The picture itself is not at hand: only its entry was written.")
            return
        try:
            self.out.add_file(name, record.file)
        except FileNotFoundError:
            self.leave_out(record.path, "no-file", "The picture itself is not at hand: only its entry was written.")

    def finish(self) -> Written:
        """Write the list of what stays out, where anything does."""
        if self._reasons:
            self._list.seek(0)
            with self.out.open_text(LEFT_OUT_FILE) as text:
                table = TableWriter(text, ["what", "code", "reason"])
                for row in csv.reader(self._list):
                    table.write(row)
        self._list.close()
        self._names.close()
        self._folder.cleanup()
        kept = (LeftOut(code, one.text, one.count, tuple(one.examples)) for code, one in self._reasons.items())
        return Written(dict(self.counts), tuple(kept))


def safe_name(path: str) -> str:
    """A relative path that every file system takes: brackets and spaces stay, `..`, colons and controls do not."""
    parts = [_UNSAFE.sub("_", part).strip(" ") for part in path.replace("\\", "/").split("/")]
    kept = [part.rstrip(". ") or "_" for part in parts if part not in ("", ".")]
    return "/".join(_shortened(part) for part in kept) or "_"


def _shortened(part: str) -> str:
    if len(part.encode()) <= _LONGEST:
        return part
    stem, dot, ending = part.rpartition(".") if 0 < len(part) - part.rfind(".") <= 6 else (part, "", "")
    return stem.encode()[: _LONGEST - 10].decode(errors="ignore") + dot + ending


@contextmanager
def spooled_text() -> Iterator[TextIO]:
    """A text on disk that goes when it is closed: what must wait until the rest is known."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as text:
        yield cast(TextIO, text)


class Classes:
    """Words numbered as they come: those of the head first, then any that an image brings along."""

    def __init__(self, labels: Iterable[LabelRecord], *, first: int = 0) -> None:
        self._first = first
        self.records: dict[str, LabelRecord] = {}
        for label in labels:
            if label.name and not is_empty_word(label.name):
                self.records.setdefault(label.name, label)
        self._numbers = {name: first + at for at, name in enumerate(self.records)}

    def number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = self._first + len(self._numbers)
            self.records[name] = LabelRecord(name)
        return self._numbers[name]

    def numbered(self) -> list[tuple[int, LabelRecord]]:
        return [(number, self.records[name]) for name, number in self._numbers.items()]


def animals_of(record: ImageRecord) -> list[AnnotationRecord]:
    """The annotations but for those that only say that there is nothing."""
    return [one for one in record.annotations or () if not is_empty_word(one.label)]


def size_of(record: ImageRecord) -> tuple[int, int] | None:
    """Width and height of the upright picture, from the record or from its file."""
    if record.width and record.height:
        return record.width, record.height
    if record.file is None:
        return None
    try:
        header = sniff(record.file)
    except (ImageRejected, OSError):
        return None
    return header.width, header.height


def option(options: Mapping[str, Any], name: str, default: str, allowed: Iterable[str]) -> str:
    """An option that is one of a few words."""
    value = str(options.get(name) or default)
    if value not in (words := tuple(allowed)):
        raise SourceError(f"{name}={value} is none of {', '.join(words)}.")
    return value
