"""Opens a source in whichever format it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from webapp.datasets.formats.detect import detect
from webapp.datasets.formats.records import Source, SourceError

Opener = Callable[[Path, Mapping[str, Any]], Source]

READERS: Mapping[str, tuple[str, str]] = {
    "imagefolder": ("imagefolder", "open_folder"),
    "csv": ("tables", "open_csv"),
    "fisheries": ("imagefolder", "open_fisheries"),
    "coco": ("coco", "open_coco"),
    "coco-ct": ("coco", "open_camera_traps"),
    "yolo": ("yolo", "open_yolo"),
    "darknet": ("darknet", "open_darknet"),
    "voc": ("voc", "open_voc"),
    "megadetector": ("megadetector", "open_megadetector"),
    "speciesnet": ("speciesnet", "open_speciesnet"),
    "camtrapdp": ("camtrap_dp", "open_package"),
}
"""Format -> module and function; the modules are loaded when their format is met."""


def open_source(root: Path, *, format: str = "", options: Mapping[str, Any] | None = None) -> Source:
    """The source at a folder or file; `format` is found out where it is not given. SourceError says what is wrong."""
    if not root.exists():
        raise SourceError(f"{root} is not there.")
    name = format or detect(root)
    if name not in READERS:
        raise SourceError(f"There is no format {name!r}. Known are: {', '.join(READERS)}.")
    module, function = READERS[name]
    opener: Opener = getattr(import_module(f"webapp.datasets.formats.{module}"), function)
    try:
        return opener(root, options or {})
    except OSError as error:
        raise SourceError(f"{error.filename or root} cannot be read: {error.strerror}.") from error
