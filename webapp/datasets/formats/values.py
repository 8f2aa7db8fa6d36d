"""What the cells and words of many formats mean: numbers, moments, parts, words for nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from webapp.datasets.formats.records import Box, LabelRecord, SourceError

EMPTY = "empty"
"""How writers spell that somebody looked and saw nothing; readers take it for that again."""

SOME_ENTRIES = 10
"""Where more than one line or entry in so many cannot be read, the source is meant otherwise: it is refused."""

EMPTY_WORDS = frozenset({EMPTY, "blank"})
_KINDS = {
    "background": {EMPTY, "blank", "nothing", "background", "no animal", "no-animal", "nof", "no fish"},
    "unknown": {"unknown", "unidentified", "unidentifiable"},
    "ignore": {"person", "human", "people", "homo sapiens", "vehicle", "car"},
}
_PARTS = {
    "train": {"train", "training", "trn"},
    "validation": {"val", "valid", "validation", "dev"},
    "test": {"test", "testing", "tst", "holdout"},
    "interesting": {"interesting"},
}
_PART_OF_WORD = {word: part for part, words in _PARTS.items() for word in words}
_PART_TAIL = re.compile(r"[\s_-]*(data|set|images|split)$")
_MOMENTS = (
    *("%Y:%m:%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H-%M-%S", "%Y:%m:%d %H:%M", "%Y/%m/%d %H:%M"),
    *("%a %b %d %H:%M:%S %Y", "%d-%b-%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M"),
)
"""With dots the day is first wherever dates are written so; with slashes nobody can know, so that is not read."""

_NO_CLOCK = ("0000-00-00", "0000:00:00")
_OFFSET = re.compile(r"([+-]\d{2})(\d{2})$")
_YES, _NO = {"true", "yes", "1", "t", "y"}, {"false", "no", "0", "f", "n"}


def part_of(word: str) -> str:
    """train, validation, test or interesting for the words that mean them, else empty."""
    folded = word.strip().casefold()
    return _PART_OF_WORD.get(folded) or _PART_OF_WORD.get(_PART_TAIL.sub("", folded), "")


def is_empty_word(label: str) -> bool:
    return label.strip().casefold() in EMPTY_WORDS


def label_record(name: str, **facts: Any) -> LabelRecord:
    """A label of a source, with the kind that its name suggests."""
    folded = name.strip().casefold()
    kind = next((kind for kind, words in _KINDS.items() if folded in words), "normal")
    return LabelRecord(name, **{"kind": kind, **facts})


def label_records(names: Iterable[str]) -> tuple[LabelRecord, ...]:
    return tuple(label_record(name) for name in dict.fromkeys(names) if name)


def moment(text: str) -> str:
    """A time in any of the usual spellings as ISO text, naive or with its offset; ValueError for what is none."""
    text = text.strip()
    if not text or text.startswith(_NO_CLOCK):
        return ""
    if len(text) < 10:
        raise ValueError(text)
    try:
        return datetime.fromisoformat(_OFFSET.sub(r"\1:\2", text)).isoformat()
    except ValueError:
        pass
    for form in _MOMENTS:
        try:
            return datetime.strptime(text, form).isoformat()
        except ValueError:
            continue
    raise ValueError(text)


def flag(value: object) -> bool | None:
    """True, False, or None for -1, empty and what is neither."""
    text = str(value).strip().casefold()
    return True if text in _YES else False if text in _NO else None


def finite(value: object) -> float:
    """A number that is one: not NaN, not endless. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def whole(value: object) -> int:
    """A whole number, also when it is spelled 3.0. Raises ValueError."""
    number = finite(value)
    if number != int(number):
        raise ValueError(f"{value!r} is no whole number")
    return int(number)


def clipped(x: float, y: float, width: float, height: float) -> Box:
    """A box cut to the image; raises ValueError for one that has no side or lies outside."""
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(1.0, x + width), min(1.0, y + height)
    if width <= 0 or height <= 0 or right <= left or bottom <= top:
        raise ValueError(f"the box {x:g}, {y:g}, {width:g}, {height:g} lies outside the image or has no size")
    return left, top, right - left, bottom - top


def known_options(options: Mapping[str, Any], *allowed: str) -> None:
    """Refuse an option that the format does not know."""
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise SourceError(f"Unknown option: {', '.join(unknown)}. Known here: {', '.join(sorted(allowed)) or 'none'}.")
