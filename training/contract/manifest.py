"""The manifest: the frozen list of a project's images with their parts and labels.

A JSON Lines text: one head, then one line for each image of the project, by image id. Keys are sorted, defaults are
left out and numbers are written one way, so that the same data is the same bytes; its digest is the SHA-256 of that
text, not of the gzip around it. Anything unknown is an error that names it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, TypeVar, cast

FORMAT = "osprey-manifest"
FORMAT_VERSION = 1

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)
LEFT_OUT = "left-out"

Box = tuple[float, float, float, float]
"""x, y, width, height as shares of the upright image, origin top left."""

T = TypeVar("T")


class ManifestError(Exception):
    """A manifest that cannot be trusted or read; the text says where and why."""


@dataclass(frozen=True, slots=True)
class ManifestLabel:
    """A word of the project as it was when the data was frozen; `parent` is another's key."""

    key: str
    name: str
    kind: str = "normal"
    scientific_name: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """Where some of the images came from: an upload with what its sender said of it."""

    uid: str
    name: str = ""
    source: str = ""
    licence: str = ""
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class ManifestHead:
    """The first line. `classes` are the keys (labels or individuals) that the split was stratified by."""

    project: str
    seed: int
    labels: tuple[ManifestLabel, ...] = ()
    classes: tuple[str, ...] = ()
    class_by: str = "label"
    parts: tuple[str, ...] = PARTS
    folds: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[ManifestSource, ...] = ()
    format: str = FORMAT
    version: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class ManifestAnnotation:
    """One animal or group; no box means somewhere in the image. `individual` is a uid, flags are those that are set."""

    label: str | None = None
    box: Box | None = None
    count: int = 1
    individual: str = ""
    individual_name: str = ""
    flags: Mapping[str, bool] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """One image. `part` LEFT_OUT: it is not used, for the reason `left_out`; whoever trains skips it.

    `label` None in a part: looked at, and empty. `how` is how the standing verdict came about (blind, suggested, bulk,
    rule, imported, second-read), `trusted` whether it may be tested on. `role` is that of identification: gallery,
    query or unseen. `group` is what never straddles; `cluster` are near-duplicates. `captured_at` is naive, as the
    camera wrote it; with `_utc` it is in UTC. `damaged` is the share of rows that cannot be decoded.
    """

    image: int
    sha256: str
    part: str
    path: str = ""
    left_out: str = ""
    fold: int | None = None
    role: str = ""
    label: str | None = None
    annotations: tuple[ManifestAnnotation, ...] = ()
    individual: str = ""
    how: str = ""
    trusted: bool = False
    cannot_tell: bool = False
    review: str = ""
    sampling_probability: float | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""
    cluster: int | None = None
    sequence: str = ""
    site: str = ""
    site_name: str = ""
    visit: str = ""
    visit_name: str = ""
    source: str = ""
    imported_part: str = ""
    author: str = ""
    camera: str = ""
    captured_at: str = ""
    captured_at_utc: str = ""
    width: int = 0
    height: int = 0
    size: int = 0
    media_type: str = ""
    damaged: float = 0.0
    brightness: float | None = None
    contrast: float | None = None
    sharpness: float | None = None

    @property
    def is_used(self) -> bool:
        return self.part != LEFT_OUT


_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode
"""Made once, since there may be a million lines."""

# ---- writing ---------------------------------------------------------------------------------------------------------


def head_text(head: ManifestHead) -> str:
    """The head as its line; format and version are always there."""
    return dump({**plain(head), "format": head.format, "version": head.version})


def line_text(line: ManifestLine) -> str:
    return dump(plain(line))


def dump(value: Mapping[str, Any]) -> str:
    """One line of JSON that is the same for the same value."""
    return _encode(value) + "\n"


def plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON values without what is at its default."""
    defaults = _defaults(type(value))
    return {
        name: here if here.__class__ in _SIMPLE else _plain_value(here)
        for (name, default), here in zip(defaults.items(), _getters[type(value)](value), strict=True)
        if here != default or default is _REQUIRED
    }


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain_value(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _plain_value(one) for key, one in value.items()}
    return plain(value) if hasattr(value, "__dataclass_fields__") else value


# ---- reading ---------------------------------------------------------------------------------------------------------


def read_head(text: str) -> ManifestHead:
    raw = _object(text, 1)
    if raw.get("format") != FORMAT or raw.get("version") != FORMAT_VERSION:
        said = f"{raw.get('format', 'no format')!r} version {raw.get('version', 'none')!r}"
        raise ManifestError(f"Line 1 says {said}; this version of Osprey reads {FORMAT!r} version {FORMAT_VERSION}.")
    return _build(ManifestHead, raw, 1)


def read_line(text: str, number: int = 0) -> ManifestLine:
    """`number` is where it stands in the file, for errors."""
    line = _build(ManifestLine, _object(text, number), number)
    if (line.part == LEFT_OUT) != bool(line.left_out):
        raise ManifestError(f"Line {number}: part {line.part!r} does not go with left_out {line.left_out!r}.")
    return line


def read_manifest(path: Path) -> tuple[ManifestHead, Iterator[ManifestLine]]:
    """Head and lines of a manifest file, gzipped or not; lines are read as they are asked for."""
    head, texts = read_manifest_texts(path)
    return head, (read_line(text, number) for number, text in texts)


def read_manifest_texts(path: Path) -> tuple[ManifestHead, Iterator[tuple[int, str]]]:
    """The head, and the other lines unread, each with its number in the file."""
    rows = _rows(path)
    try:
        head = read_head(next(rows))
    except StopIteration:
        raise ManifestError(f"{path} is empty.") from None
    return head, enumerate(rows, start=2)


def may_be_left_out(text: str) -> bool:
    """Of a line as `line_text` writes it: whether it may be one that is not used. False is certain."""
    return f'"part":"{LEFT_OUT}"' in text


def digest_of(path: Path) -> str:
    """SHA-256 of the text of a manifest file."""
    found = hashlib.sha256()
    with _opened(path) as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.hexdigest()


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _rows(path: Path) -> Iterator[str]:
    try:
        with _opened(path) as file:
            for row in file:
                yield row.decode()
    except (OSError, EOFError, UnicodeError) as error:
        raise ManifestError(f"{path} cannot be read to its end ({error}): take it from a backup.") from error


def _object(text: str, number: int) -> dict[str, Any]:
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"Line {number} is not JSON ({error}).") from error
    if not isinstance(raw, dict):
        raise ManifestError(f"Line {number} is no object.")
    return raw


class _Required:
    """Marks a field without a default; equal to nothing."""


_REQUIRED = _Required()
_SIMPLE = frozenset((int, str, float, bool, type(None)))
_known: dict[type, dict[str, Any]] = {}
_getters: dict[type, Callable[[Any], tuple[Any, ...]]] = {}


def _defaults(kind: type) -> dict[str, Any]:
    if kind not in _known:
        _known[kind] = {one.name: _default(one) for one in fields(kind)}
        _getters[kind] = attrgetter(*_known[kind])
    return _known[kind]


def _default(one: Any) -> Any:
    if callable(one.default_factory):
        return one.default_factory()
    return one.default if one.default is not MISSING else _REQUIRED


def _build(kind: type[T], raw: Mapping[str, Any], number: int) -> T:
    defaults, types, converters = _defaults(kind), _TYPES[kind], _CONVERTERS.get(kind, {})
    if not raw.keys() <= defaults.keys() or not raw.keys() >= _NEEDED[kind]:
        unknown, missing = sorted(raw.keys() - defaults.keys()), sorted(_NEEDED[kind] - raw.keys())
        what = f"unknown key {unknown[0]!r}" if unknown else f"no key {missing[0]!r}"
        raise ManifestError(f"Line {number}, {kind.__name__}: {what}. Known keys: {', '.join(sorted(defaults))}.")
    values: dict[str, Any] = {}
    for name, value in raw.items():
        if name in converters:
            values[name] = converters[name](value, number)
        elif value.__class__ in types[name]:
            values[name] = MappingProxyType(value) if value.__class__ is dict else value
        else:
            raise ManifestError(f"Line {number}, {kind.__name__}.{name}: {value!r} is not of the kind it should be.")
    return kind(**values)


def _box(value: Any, number: int) -> Box | None:
    if value is None:
        return None
    if not (isinstance(value, list) and len(value) == 4 and all(isinstance(one, int | float) for one in value)):
        raise ManifestError(f"Line {number}: a box is four numbers, not {value!r}.")
    return (float(value[0]), float(value[1]), float(value[2]), float(value[3]))


def _many(kind: type[T]) -> Callable[[Any, int], tuple[T, ...]]:
    def convert(value: Any, number: int) -> tuple[T, ...]:
        if not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
            raise ManifestError(f"Line {number}: a list of {kind.__name__} is expected, not {str(value)[:80]}.")
        return tuple(_build(kind, one, number) for one in value)

    return convert


def _words(value: Any, number: int) -> tuple[str, ...]:
    if not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise ManifestError(f"Line {number}: a list of words is expected, not {str(value)[:80]}.")
    return tuple(value)


_CONVERTERS: dict[type, dict[str, Callable[[Any, int], Any]]] = {
    ManifestHead: {
        "labels": _many(ManifestLabel),
        "sources": _many(ManifestSource),
        "classes": _words,
        "parts": _words,
    },
    ManifestLine: {"annotations": _many(ManifestAnnotation)},
    ManifestAnnotation: {"box": _box},
}
_BY_WORD: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "bool": (bool,),
    "float": (int, float),
    "Mapping": (dict,),
    "None": (type(None),),
}


def _types_of(kind: type) -> dict[str, frozenset[type]]:
    """What JSON may hold for each plain field, from its annotation; True is no number."""
    found: dict[str, frozenset[type]] = {}
    for one in fields(kind):
        words = [word.strip().partition("[")[0] for word in str(one.type).split(" | ")]
        if all(word in _BY_WORD for word in words):
            found[one.name] = frozenset(plain_type for word in words for plain_type in _BY_WORD[word])
    return found


_KINDS: tuple[type, ...] = (ManifestHead, ManifestLine, ManifestAnnotation, ManifestLabel, ManifestSource)
_TYPES: dict[type, dict[str, frozenset[type]]] = {kind: _types_of(kind) for kind in _KINDS}
_NEEDED: dict[type, frozenset[str]] = {
    kind: frozenset(name for name, default in _defaults(kind).items() if default is _REQUIRED) for kind in _KINDS
}
