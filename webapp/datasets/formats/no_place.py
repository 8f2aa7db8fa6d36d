"""What records say that a format has no place for: counted while they are written, so that no loss is silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from webapp.datasets.formats.job import LeftOut, animals_of
from webapp.datasets.formats.records import ImageRecord

_ANIMALS = ("counts above one", "individuals", "fields")
_PLACES = ("sites", "capture times", "bursts")
NO_PLACE: Mapping[str, tuple[str, ...]] = {
    "imagefolder": ("boxes", *_ANIMALS, *_PLACES),
    "coco": _PLACES,
    "yolo": (*_ANIMALS, *_PLACES),
    "darknet": (*_ANIMALS, *_PLACES),
    "voc": (*_ANIMALS, *_PLACES),
    "camtrapdp": ("parts",),
}
"""Format -> what is lost in it. Tables in full hold everything; results of detectors are of boxes by their nature."""

_OF_VOC = {"pose", "difficult"}


class NoPlace:
    """Watches records on their way into one format."""

    def __init__(self, format: str) -> None:
        self._format = format
        self._words = NO_PLACE.get(format, ())
        self._lost: Counter[str] = Counter()

    def watch(self, records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
        for record in records:
            if self._words:
                self._lost.update(self._said(record))
            yield record

    def left_out(self) -> tuple[LeftOut, ...]:
        reason = "The format has no place for {}: images that have some."
        return tuple(
            LeftOut("no-place", reason.format(word), self._lost[word]) for word in self._words if self._lost[word]
        )

    def _said(self, record: ImageRecord) -> Iterator[str]:
        animals = animals_of(record)
        known = _OF_VOC if self._format == "voc" else set()
        has = {
            "boxes": any(one.box for one in animals),
            "counts above one": any(one.count > 1 for one in animals),
            "individuals": any(one.individual for one in animals),
            "fields": any(set(one.fields) - known for one in animals),
            "sites": bool(record.site),
            "capture times": bool(record.captured_at),
            "bursts": bool(record.sequence),
            "parts": bool(record.part),
        }
        return (word for word in self._words if has[word])
