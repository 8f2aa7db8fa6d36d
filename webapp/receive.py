"""Reads one body, raw or multipart, into files of the store: counted, hashed, bounded, never held in memory."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header

from webapp.errors import NoSpace, OspreyError, TooLarge
from webapp.images.keep import Part

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MOST_FIELD_BYTES = 64 * 1024
"""Of all fields together: they are held in memory."""
DISK_LOOK_BYTES = 64 * 2**20
"""A body without a length is measured against the free disk each time this much has come."""


class Gone(OspreyError):
    """The sender went away in mid-body."""

    code = "incomplete"
    status = 400


class TooManyFiles(OspreyError):
    code = "too-many-files"
    status = 400


class FileWriter:
    """One file on its way in."""

    def __init__(self, *, field: str = "", filename: str = "", content_type: str = "") -> None:
        handle, name = tempfile.mkstemp(prefix="in-", dir=settings.INCOMING_DIR)
        self.path = Path(name)
        self._file: IO[bytes] = os.fdopen(handle, "wb")
        self._hash = hashlib.sha256()
        self.size = 0
        self._said = {"field": field, "filename": filename, "content_type": content_type}

    def write(self, chunk: bytes | bytearray) -> None:
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def finish(self) -> Part:
        self._file.close()
        return Part(path=self.path, sha256=self._hash.hexdigest(), size=self.size, **self._said)

    def drop(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


class Receiver:
    """Reads the body of one request. `parts` and `fields` hold what came, also after an error."""

    def __init__(self, *, limit: int, most_files: int) -> None:
        self.limit = limit
        self.most_files = most_files
        self.parts: list[Part] = []
        self.fields: dict[str, str] = {}
        self._total = 0
        self._looked_at = 0
        self._in_fields = 0
        self._writer: FileWriter | None = None
        self._field: tuple[str, bytearray] | None = None

    async def read(self, headers: dict[str, str], receive: Receive) -> None:
        kind, options = parse_options_header(headers.get("content-type", ""))
        try:
            if kind == "multipart/form-data":
                await self._read_multipart(options.get("boundary", ""), receive)
            else:
                await self._read_raw(headers.get("content-type", ""), receive)
        except OSError as error:
            raise NoSpace(f"The bytes could not be written ({error.strerror}). Nothing was stored.") from error
        finally:
            if self._writer is not None:
                self._writer.drop()

    async def _read_raw(self, content_type: str, receive: Receive) -> None:
        self._writer = FileWriter(content_type=content_type)
        async for chunk in self._chunks(receive):
            self._writer.write(chunk)
        self.parts.append(self._writer.finish())
        self._writer = None

    async def _read_multipart(self, boundary: str, receive: Receive) -> None:
        try:
            with PushMultipartParser(boundary, max_segment_count=self.most_files + 100) as parser:
                async for chunk in self._chunks(receive):
                    for event in parser.parse(chunk):
                        self._take(event)
        except ParserLimitReached as error:
            raise TooLarge(f"The form has too many or too large parts: {error}.") from error
        except MultipartError as error:
            raise OspreyError(f"The multipart body cannot be read: {error}.", code="bad-request") from error

    def _take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            self._end()
        elif self._writer is not None:
            self._writer.write(event)
        elif self._field is not None:
            self._field[1].extend(event)
            self._in_fields += len(event)
            if self._in_fields > MOST_FIELD_BYTES:
                raise TooLarge(f"The form fields beside the files have more than {MOST_FIELD_BYTES:,} bytes.")

    def _begin(self, segment: MultipartSegment) -> None:
        if segment.filename is None:
            self._field = (segment.name or "", bytearray())
            return
        if len(self.parts) >= self.most_files:
            raise TooManyFiles(
                f"At most {self.most_files:,} {'file' if self.most_files == 1 else 'files'} in one request here."
            )
        self._writer = FileWriter(
            field=segment.name or "", filename=segment.filename, content_type=segment.content_type or ""
        )

    def _end(self) -> None:
        if self._writer is not None:
            self.parts.append(self._writer.finish())
            self._writer = None
        elif self._field is not None:
            name, raw = self._field
            self.fields[name] = raw.decode("utf-8", errors="replace")
            self._field = None

    async def _chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        """The body's pieces, bounded while they come."""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise Gone("The connection ended before the whole body had come; nothing was stored.")
            chunk = message.get("body", b"")
            self._total += len(chunk)
            if self._total > self.limit:
                raise TooLarge(f"The body has more than {self.limit:,} bytes, the most that is taken here.")
            self._look_at_disk()
            if chunk:
                yield chunk
            more = message.get("more_body", False)

    def _look_at_disk(self) -> None:
        if self._total - self._looked_at < DISK_LOOK_BYTES:
            return
        self._looked_at = self._total
        if shutil.disk_usage(settings.INCOMING_DIR).free < settings.FREE_DISK_FLOOR_BYTES:
            raise NoSpace("The disk of this site is full. Nothing was stored; its admin has to make room.")


def leave_nothing(parts: Iterable[Part]) -> None:
    """Remove temporary files that nobody took."""
    for part in parts:
        part.path.unlink(missing_ok=True)
