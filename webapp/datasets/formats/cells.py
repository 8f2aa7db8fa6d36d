"""CSV as it is met: byte-order marks, semicolons, older encodings; and cells that no spreadsheet will run."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from webapp.datasets.formats.records import SourceError

LONGEST_CELL = 1 << 20
_RUNS = re.compile(r"^'*[=+\-@\t\r\n]")
_DISARMED = re.compile(r"^'+[=+\-@\t\r\n]")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
_NOT_WINDOWS = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_DELIMITERS = ",;\t|"
_CHUNK = 1 << 20

csv.field_size_limit(LONGEST_CELL)  # of the whole process, so set once: readers of other threads may be half-way


def disarmed(value: object) -> str:
    """A cell with an apostrophe before what a spreadsheet would run; numbers stay as they are."""
    text = "" if value is None else str(value)
    return f"'{text}" if _RUNS.match(text) and not _NUMBER.match(text) else text


def rearmed(text: str) -> str:
    """The cell as it was before `disarmed`."""
    return text[1:] if _DISARMED.match(text) else text


class TableWriter:
    """Writes rows with every cell disarmed."""

    def __init__(self, file: Any, header: Sequence[str]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow([disarmed(name) for name in header])

    def write(self, row: Sequence[object]) -> None:
        self._writer.writerow([disarmed(value) for value in row])


@dataclass(frozen=True, slots=True)
class Row:
    """One line as texts by column, and the number of its line for messages."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A CSV file whose encoding, delimiter and header are known."""

    file: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def rows(self) -> Iterator[Row]:
        """Its rows, blank lines left out; SourceError names the line of what cannot be read."""
        with self._reader() as reader:
            next(reader)
            for cells in _each(reader, self.file):
                if len(cells) > len(self.header) and any(cells[len(self.header) :]):
                    raise SourceError(
                        f"{self.file}, line {reader.line_num}: {len(cells)} cells under {len(self.header)} columns."
                        " A cell with the delimiter in it needs quotation marks."
                    )
                if any(cells):
                    padded = [*cells, *[""] * (len(self.header) - len(cells))]
                    texts = (rearmed(cell.strip(" ")) for cell in padded)
                    yield Row(reader.line_num, dict(zip(self.header, texts, strict=False)))

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        with _text(self.file, self.encoding) as file:
            yield csv.reader(file, delimiter=self.delimiter)


def open_table(file: Path, *, encoding: str = "", delimiter: str = "") -> Table:
    """Look at a file: encoding and delimiter (found where they are not given) and header."""
    if not file.is_file():
        raise SourceError(f"{file} is not there.")
    found, notices = (encoding, ()) if encoding else _encoding_of(file)
    try:
        with _text(file, found) as text:
            first = text.readline(LONGEST_CELL)
    except UnicodeError as error:
        raise SourceError(f"{file}, line 1 or soon after: {error}. Say which encoding it has.") from error
    if not first.strip():
        raise SourceError(f"{file} is empty: its first line must name the columns.")
    used = delimiter or max(_DELIMITERS, key=first.count)
    table = Table(file, found, used, ())
    with table._reader() as reader:
        header = [rearmed(cell.strip()) for cell in next(_each(reader, file))]
    while header and not header[-1]:
        header.pop()
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise SourceError(f"{file}: the column {', '.join(twice)} is there more than once. Rename one of them.")
    return Table(file, found, used, tuple(header), notices)


def _each(reader: Any, file: Path) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise SourceError(f"{file}, line {reader.line_num}: {error}.") from error
    except UnicodeError as error:
        raise SourceError(f"{file}, after line {reader.line_num}: {error}. Say which encoding it has.") from error


def _text(file: Path, encoding: str) -> IO[str]:
    try:
        return file.open(encoding=encoding, newline="")
    except LookupError as error:
        raise SourceError(f"There is no encoding {encoding}. Use utf-8, cp1252 or utf-16.") from error


def _encoding_of(file: Path) -> tuple[str, tuple[str, ...]]:
    """UTF-8 if every byte of the file is, UTF-16 by its mark, else Western European, said loudly."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open("rb") as data:
        if data.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16", ()
        data.seek(0)
        try:
            while chunk := data.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            used = _western(data)
            notice = f"{file.name} is not UTF-8 and was read as Western European ({used}): check names with accents."
            return used, (notice,)
    return "utf-8-sig", ()


def _western(data: IO[bytes]) -> str:
    """What Windows writes, with its curly quotation marks, unless a byte means nothing there."""
    data.seek(0)
    chunks = iter(lambda: data.read(_CHUNK), b"")
    return "latin-1" if any(_NOT_WINDOWS.search(chunk) for chunk in chunks) else "cp1252"
