"""A command of `training` in a folder of its own: started, looked after, and gone with all that it wrote."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from webapp.projects.models import Label, Project
from webapp.runs.process import LOG, TRAINING, training

FOLDER = "comparing"
LOOK_SECONDS = 0.1
LAST_LINES, LOG_BYTES = 12, 16_384
LEFT_BEHIND = timedelta(days=1)

Words = Callable[[str], None]


class Stopped(Exception):
    """The worker was asked to stop; the work is to be had again."""


def never() -> bool:
    return False


def quiet(words: str) -> None:
    """Nobody listens."""


def _nothing() -> None:
    """Nothing to look after."""


@contextmanager
def work_folder() -> Iterator[Path]:
    """An empty folder for one command; nothing in it outlives it, since all of it can be made again in minutes."""
    root = Path(settings.DATA_DIR) / FOLDER
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_command(
    folder: Path,
    words: Sequence[str],
    *,
    should_stop: Callable[[], bool] = never,
    look_after: Callable[[], None] = _nothing,
) -> int:
    """Its exit status, below 0 the signal that ended it. Raises Stopped, or whatever `look_after` raises."""
    with training(folder, [*TRAINING, *words]) as process:
        while (status := process.poll()) is None:
            time.sleep(LOOK_SECONDS)
            if should_stop():
                raise Stopped
            look_after()
    return status


def last_words(folder: Path) -> str:
    """What the command wrote last: an error in a sentence, or the end of a trace."""
    with (folder / LOG).open("rb") as file:
        file.seek(max(0, (folder / LOG).stat().st_size - LOG_BYTES))
        lines = file.read().decode("utf-8", "replace").replace("\0", "").splitlines()
    said = "\n".join([line for line in lines if line.strip()][-LAST_LINES:])
    return said or "It ended without a word: see the log of the worker."


def write_merges(project: Project, path: Path) -> Path:
    """Which label was merged into which by now: older versions and snapshots are read under today's names."""
    path.write_text(json.dumps(merges_of(project)), encoding="utf-8")
    return path


def merges_of(project: Project) -> dict[str, str]:
    rows = Label.objects.filter(project=project).exclude(merged_into=None)
    return dict(rows.values_list("key", "merged_into__key"))


def remove_left_behind() -> None:
    """Folders whose worker was killed."""
    root, line = Path(settings.DATA_DIR) / FOLDER, time.time() - LEFT_BEHIND.total_seconds()
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.stat().st_mtime < line:
            shutil.rmtree(folder, ignore_errors=True)
