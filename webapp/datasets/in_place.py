"""Originals that stay where they are: checked against their digest, and found again when their disk has moved."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from django.db.models import QuerySet
from django.utils import timezone

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets import roots
from webapp.images.models import File
from webapp.images.originals import OriginalChanged, check_unchanged
from webapp.predictions.models import Prediction
from webapp.predictions.retry import retry
from webapp.projects.models import Project

CHUNK = 500
EXAMPLES = 10
WORTH = ("original-missing", "original-changed")
Progress = Callable[[int, int], None]


@dataclass
class Checked:
    """How the originals of a project are: those that were looked at, and what was found."""

    files: int = 0
    there: int = 0
    missing: int = 0
    changed: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Found:
    """What a search under another folder came to."""

    missing: int = 0
    found: int = 0
    left: int = 0
    looked_at: int = 0


def files_in_place(project: Project) -> QuerySet[File]:
    return File.objects.filter(images__project=project, images__withdrawn_at=None).exclude(in_place_path="").distinct()


def summary(project: Project) -> dict[str, int]:
    """How many originals are read in place, and how many of them are known to be missing."""
    files = files_in_place(project)
    return {"in_place": files.count(), "missing": files.filter(missing_since__isnull=False).count()}


def check_originals(*, actor: Actor, project: Project, progress: Progress | None = None) -> Checked:
    """Read every original of a project that lies in place, and compare its digest. What is back is back."""
    require(actor, Action.IMPORT, project)
    checked, total = Checked(), files_in_place(project).count()
    for chunk in _chunks(files_in_place(project)):
        there: list[int] = []
        gone: list[int] = []
        for file in chunk:
            problem = _problem_of(file)
            (gone if problem else there).append(file.pk)
            if problem and len(checked.examples) < EXAMPLES:
                checked.examples.append(f"{file.in_place_path}: {problem}")
            checked.changed += problem == "changed"
            checked.missing += problem not in ("", "changed")
        checked.files, checked.there = checked.files + len(chunk), checked.there + len(there)
        File.objects.filter(pk__in=gone, missing_since=None).update(missing_since=timezone.now())
        back = list(File.objects.filter(pk__in=there, missing_since__isnull=False).values_list("pk", flat=True))
        _are_back(actor, dict.fromkeys(back, ""))
        if progress is not None:
            progress(checked.files, total)
    return checked


def _problem_of(file: File) -> str:
    try:
        check_unchanged(Path(file.in_place_path), file.sha256)
    except OriginalChanged:
        return "changed"
    except FileNotFoundError:
        return "not there"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def find_again(*, actor: Actor, project: Project, root: Path, progress: Progress | None = None) -> Found:
    """Look under a folder for the originals that are missing, by size and then by digest, whatever they are called now.

    Those that are found are read from there, and what failed for want of them is tried again.
    """
    real = roots.check_folder(actor, project, root)
    wanted = _missing_by_size(project)
    found = Found(missing=sum(map(len, wanted.values())))
    left = found.missing
    for path, size in _files_under(real):
        if not left:
            break
        found.looked_at += 1
        if size not in wanted:
            continue
        pk = wanted[size].pop(_digest(path), None)
        if pk is None:
            continue
        _are_back(actor, {pk: str(path)})
        found.found, left = found.found + 1, left - 1
        if progress is not None:
            progress(found.found, found.missing)
    found.left = left
    audit.record(
        actor=actor,
        action="find originals again",
        project_id=project.pk,
        subject=f"project:{project.pk}",
        root=str(real),
        found=found.found,
        left=found.left,
    )
    return found


def _missing_by_size(project: Project) -> dict[int, dict[str, int]]:
    """Also those that nobody has missed yet but that are not where they were."""
    wanted: dict[int, dict[str, int]] = defaultdict(dict)
    for chunk in _chunks(files_in_place(project)):
        for file in chunk:
            if file.missing_since is not None or not os.path.exists(file.in_place_path):  # noqa: PTH110 (in bulk)
                wanted[file.size][file.sha256] = file.pk
    return wanted


def _chunks(files: QuerySet[File]) -> Iterator[list[File]]:
    after = 0
    while chunk := list(files.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield chunk
        after = chunk[-1].pk


def _files_under(root: Path) -> Iterator[tuple[Path, int]]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            try:
                if not path.is_symlink():
                    yield path, path.stat().st_size
            except OSError:
                continue


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _are_back(actor: Actor, paths: Mapping[int, str]) -> None:
    """These files can be read again, at another path where one is given."""
    for pk, path in paths.items():
        File.objects.filter(pk=pk).update(missing_since=None, **({"in_place_path": path} if path else {}))
    failed = Prediction.objects.filter(state=Prediction.State.FAILED, code__in=WORTH, image__file__in=list(paths))
    retry(actor=actor, predictions=list(failed.values_list("pk", flat=True)))
