"""Writes records in whichever format is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from webapp.datasets.formats.job import Job, LeftOut, Written
from webapp.datasets.formats.output import Output
from webapp.datasets.formats.records import Head, ImageRecord, SourceError
from webapp.datasets.formats.values import known_options

__all__ = ["FORMATS", "LeftOut", "Written", "write"]

Writer = Callable[[Job, Iterable[ImageRecord], Mapping[str, Any]], None]

_COMMON = ("with_images",)
_WRITERS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "imagefolder": ("write_imagefolder", "write", ()),
    "csv": ("write_table", "write", ("style",)),
    "coco": ("write_coco", "write_coco", ()),
    "coco-ct": ("write_coco", "write_camera_traps", ()),
    "yolo": ("write_yolo", "write_yolo", ()),
    "darknet": ("write_yolo", "write_darknet", ("root",)),
    "voc": ("write_voc", "write", ()),
    "megadetector": ("write_megadetector", "write", ("source",)),
    "camtrapdp": ("write_camtrap_dp", "write", ("time_zone", "title", "contributor", "sampling_design", "licence")),
}
FORMATS = tuple(_WRITERS)
"""What can be written; the modules are loaded when their format is asked for."""


def check_options(format: str, options: Mapping[str, Any]) -> None:
    """Refuse what the format does not know, before any work."""
    if format not in _WRITERS:
        raise SourceError(f"{format!r} cannot be written. Formats: {', '.join(_WRITERS)}.")
    known_options(options, *_COMMON, *_WRITERS[format][2])


def write(
    format: str, *, head: Head, images: Iterable[ImageRecord], out: Output, options: Mapping[str, Any] | None = None
) -> Written:
    """Write all records in one pass, memory staying flat; `options` may say `with_images` and what the format knows.

    Pictures are copied along unless told otherwise; MegaDetector results come without, unless asked for.
    What the format cannot hold is counted with its reason in the answer, and listed in full in left_out.csv.
    """
    asked = dict(options or {})
    check_options(format, asked)
    module, function, _ = _WRITERS[format]
    writer: Writer = getattr(import_module(f"webapp.datasets.formats.{module}"), function)
    job = Job(head, out, asked, with_images=format != "megadetector")
    writer(job, images, asked)
    return job.finish()
