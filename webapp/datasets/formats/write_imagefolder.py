"""Writes pictures into `<part>/<label>/`; what has no one label stays out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from webapp.datasets.formats.job import Job, animals_of, safe_name
from webapp.datasets.formats.records import ImageRecord
from webapp.datasets.formats.values import EMPTY


def write(job: Job, images: Iterable[ImageRecord], options: Mapping[str, Any]) -> None:
    renamed: set[str] = set()
    for record in images:
        label, code, reason = _label(record)
        if code:
            job.leave_out(record.path, code, reason)
            continue
        if record.file is None:
            job.leave_out(record.path, "no-file", "The picture itself is not at hand, and folders hold nothing else.")
            continue
        folder = safe_name(label.replace("/", "_"))
        if folder != label and label not in renamed:
            renamed.add(label)
            job.leave_out(label, "renamed", "The label's name is no name for a folder: some signs became '_'.")
        inside = [record.part] if record.part else []
        job.copy(record, job.place("/".join([*inside, folder, record.path.rpartition("/")[2]])))


def _label(record: ImageRecord) -> tuple[str, str, str]:
    """The one label of an image, or a code and a reason why it has none."""
    if record.cannot_tell:
        return "", "cannot-tell", "People could not tell what it shows."
    if record.annotations is None:
        return "", "not-labelled", "Nobody has labelled it."
    labels = {annotation.label for annotation in animals_of(record)}
    if len(labels) > 1:
        return "", "several-labels", "It has several labels, and a folder stands for one."
    return (labels.pop() if labels else EMPTY), "", ""
