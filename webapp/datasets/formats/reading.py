"""A source made of a head and a function that yields its records; and the look ahead that every source shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from webapp.datasets.formats.records import Forecast, Head, ImageRecord

Read = Callable[[bool], Iterator[ImageRecord]]
"""Yields the records anew at each call; False: quickly, without opening pictures for their size."""


@dataclass(frozen=True)
class ReadSource:
    """The Source that all readers give."""

    head: Head
    read: Read

    def images(self) -> Iterator[ImageRecord]:
        return self.read(True)

    def forecast(self) -> Forecast:
        return counted(self.read(False))


def counted(records: Iterator[ImageRecord]) -> Forecast:
    """One pass over the records: how many images, bytes, missing files; images for each part, label, individual."""
    images = size = missing = 0
    parts: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    individuals: Counter[str] = Counter()
    for record in records:
        images += 1
        if record.part:
            parts[record.part] += 1
        labels.update({annotation.label for annotation in record.annotations or () if annotation.label})
        individuals.update({annotation.individual for annotation in record.annotations or () if annotation.individual})
        if record.file is None:
            missing += 1
            continue
        try:
            size += record.file.stat().st_size
        except OSError:
            missing += 1
    return Forecast(images, size, missing, dict(parts), dict(labels), dict(individuals))
