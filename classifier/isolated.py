"""Decodes TIFF and AVIF in a child process with little memory and little time, so that a hostile file ends only that.

`decode` is the parent's side; `python -m classifier.isolated` is the child. They speak over the child's standard input
and output: a request is a line of JSON and the file's bytes, an answer a line of JSON and the pixels. The child is
started afresh (never forked: the parent may hold a GPU) and is kept for the next picture.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from classifier.errors import ImageRejected

MEMORY_BYTES = 3 << 30
SECONDS = 30.0
PICTURES_PER_CHILD = 200
SPARE_CHILDREN = 2
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Isolated:
    """An upright picture from the child; `width` and `height` are of the full size."""

    pixels: NDArray[np.uint8]
    width: int
    height: int


class _Child:
    """One decoder process and the number of pictures it has seen."""

    def __init__(self) -> None:
        environment = {"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "classifier.isolated"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=_ROOT,
        )
        self.pictures = 0

    def ask(self, request: dict[str, object], data: bytes, seconds: float) -> tuple[dict[str, object], bytes] | None:
        """One picture; None when the child died or was ended for taking too long."""
        self.pictures += 1
        timer = threading.Timer(seconds, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            return _converse(self.process, request, data)
        except (BrokenPipeError, EOFError, ValueError):
            return None
        finally:
            timer.cancel()

    def end(self) -> None:
        """End the process and collect it."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                _close(stream)
        self.process.wait()


class _Spares:
    """Children that wait for work; a process forked from this one starts with none, as pipes cannot be shared."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.end_all)

    def take(self) -> _Child:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Child()

    def give_back(self, child: _Child) -> None:
        with self._lock:
            if len(self._idle) < SPARE_CHILDREN and child.pictures < PICTURES_PER_CHILD:
                self._idle.append(child)
                return
        child.end()

    def end_all(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._idle = []


_spares = _Spares()


def decode(data: bytes, *, format_name: str, at_least: int, seconds: float = SECONDS) -> Isolated:
    """Decode one picture in a child; raises ImageRejected when it cannot be read, or ended or stalled the child."""
    request: dict[str, object] = {"format": format_name, "at_least": at_least, "bytes": len(data)}
    child = _spares.take()
    answered = None
    try:
        answered = child.ask(request, data, seconds)
    finally:
        if answered is None:
            child.end()
    if answered is None:
        raise ImageRejected(
            "decoder-died",
            f"Reading this {format_name} took too much time or memory, or ended the program that reads it. "
            "Save it as JPEG and upload that.",
        )
    _spares.give_back(child)
    answer, body = answered
    if "code" in answer:
        raise ImageRejected(str(answer["code"]), str(answer["reason"]), status=int(str(answer["status"])))
    height, width, full_height, full_width = (int(str(answer[key])) for key in ("rows", "columns", "height", "width"))
    pixels = np.frombuffer(bytearray(body), np.uint8).reshape(height, width, 3)
    return Isolated(pixels, full_width, full_height)


def _converse(
    process: subprocess.Popen[bytes], request: dict[str, object], data: bytes
) -> tuple[dict[str, object], bytes]:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.write(data)
    process.stdin.flush()
    answer: dict[str, object] = json.loads(process.stdout.readline())
    return answer, _exactly(process.stdout, int(str(answer.get("bytes", 0))))


def _exactly(stream: IO[bytes], length: int) -> bytes:
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    return body


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return  # what was still to be written had no reader any more


def _limit_this_process() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """The child's loop; it ends when the parent closes the pipe or is gone."""
    while line := requests.readline():
        request = json.loads(line)
        data = _exactly(requests, request["bytes"])
        body = b""
        try:
            pixels, width, height = _decode_in_child(data, request["format"], request["at_least"])
            body = pixels.tobytes()
            rows, columns = pixels.shape[:2]
            answer = {"rows": rows, "columns": columns, "width": width, "height": height, "bytes": len(body)}
        except ImageRejected as refusal:
            answer = {"code": refusal.code, "reason": refusal.reason, "status": refusal.status}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.write(body)
        answers.flush()


def _decode_in_child(data: bytes, format_name: str, at_least: int) -> tuple[NDArray[np.uint8], int, int]:
    from PIL import AvifImagePlugin, Image, ImageOps, TiffImagePlugin

    from classifier.jpeg import damaged
    from classifier.modes import reduced, to_rgb
    from classifier.sniff import check_size

    Image.MAX_IMAGE_PIXELS = None  # this process reads one picture at a time, under limits of its own
    plugins = {"TIFF": TiffImagePlugin.TiffImageFile, "AVIF": AvifImagePlugin.AvifImageFile}
    try:
        with plugins[format_name](io.BytesIO(data)) as image:
            check_size(*image.size)
            image.load()
            upright = ImageOps.exif_transpose(image)
            rgb = to_rgb(upright)
            return np.asarray(reduced(rgb, at_least)), *upright.size
    except MemoryError as error:
        reason = f"Reading this {format_name} takes more memory than is allowed. Scale it down or save it as JPEG."
        raise ImageRejected("too-many-pixels", reason, status=413) from error
    except ImageRejected:
        raise
    except Exception as error:
        raise damaged(f"its {format_name} data cannot be read ({error})") from error


if __name__ == "__main__":
    _limit_this_process()
    _serve(sys.stdin.buffer, sys.stdout.buffer)
