"""Learns and scores heads, in processes of their own; offers one that is better beyond doubt."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from training.contract import EXIT_STATUS, LEARNED_NOTHING, parse_score, write_verdicts
from webapp import leases
from webapp.projects.models import Label, Project
from webapp.runs.models import WorkingHead
from webapp.runs.process import Training, training
from webapp.runs.stored_vectors import space_of, write_vectors
from webapp.runs.working_heads import gather
from webapp.runs.working_heads.gather import Reviewed
from webapp.runs.working_heads.look import newest_review
from webapp.versions.activate import active_pipeline_id
from webapp.versions.fetch import folder_of as folder_of_version
from webapp.versions.models import Activation, Pipeline

log = logging.getLogger(__name__)

FOLDER, KEPT = "heads", "heads"
FEWEST, LABELS, FEWEST_OF_A_LABEL = 40, 2, 5
MOST = 20_000
"""So many of the newest are learned from: in a minute, and in little memory."""
LOOK_SECONDS = 0.1
MOST_SECONDS = 600
COMMAND = (sys.executable, "-m", "training", "working-head")
State = WorkingHead.State
Stop = Callable[[], bool]
_turn = threading.Lock()
"""The threads of an io worker are for what people wait for: one head at a time."""


class Ended(Exception):
    """The process ended badly; the text is what it said."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


def never() -> bool:
    return False


def learn(pk: int, should_stop: Stop = never) -> WorkingHead | None:
    """Learn one head; None when it is not to be had, or this process is busy with another one."""
    if not _turn.acquire(blocking=False):
        return None
    try:
        return _learn(pk, should_stop)
    finally:
        _turn.release()


def _learn(pk: int, should_stop: Stop) -> WorkingHead | None:
    if not leases.take(leases.free(WorkingHead.objects.all()), pk):
        return None
    row = WorkingHead.objects.select_related("project", "space").get(pk=pk)
    if leases.is_worn_out(row):
        leases.end(row, State.FAILED, reason="Learning it ended its worker each time.")
        return None
    try:
        with leases.kept(row), workshop(row) as folder:
            _learn_in(row, folder, should_stop)
    except leases.LeaseLost:
        log.info("%s goes on elsewhere", row)
    except Ended as error:
        code = "learned-nothing" if error.status == EXIT_STATUS[LEARNED_NOTHING] else "learning-failed"
        leases.end(row, State.FAILED, code=code, reason=str(error), learned_from=row.learned_from)
    row.refresh_from_db()
    return row


def _learn_in(row: WorkingHead, folder: Path, should_stop: Stop) -> None:
    images = gather.reviewed(row.project)
    row.learned_from = len(images)
    enough = [label for label, count in Counter(one.truth for one in images).items() if count >= FEWEST_OF_A_LABEL]
    against = gather.suggesting(row.project)
    if len(images) < FEWEST or len(enough) < LABELS or against is None:
        wanted = f"{FEWEST} images, {LABELS} labels with {FEWEST_OF_A_LABEL} each"
        raise Ended(EXIT_STATUS[LEARNED_NOTHING], f"There are too few verdicts: {wanted}.")
    learned_from = images[-MOST:]
    _write(folder, row, learned_from, gather.to_learn(learned_from, gather.groups_of(images)), {})
    if not run(folder, "learn", should_stop):
        leases.release(row)
        return
    learned = json.loads((folder / "learned.json").read_text(encoding="utf-8"))
    up_to = max(one.newest for one in images)
    score = {**held_against(row.project, against), "own": []}
    key = _keep(row, folder)
    # Older ones had their verdicts up to here; their part of the score stays in the chain.
    WorkingHead.objects.filter(project=row.project, state=State.SCORED).update(state=State.REPLACED)
    leases.write(
        row,
        state=State.SCORED,
        lease_token="",
        lease_until=None,
        done_at=timezone.now(),
        learned_from=learned["verdicts"],
        up_to=up_to,
        scored_up_to=up_to,
        head_key=key,
        score=score,
    )


def score(pk: int, should_stop: Stop = never) -> WorkingHead | None:
    """Score a head on the verdicts since it learned, and offer it once it is better at every look so far."""
    if not _turn.acquire(blocking=False):
        return None
    try:
        row = WorkingHead.objects.select_related("project", "space").filter(pk=pk, state=State.SCORED).first()
        if row is None:
            return None
        with workshop(row) as folder:
            return _score_in(row, folder, should_stop)
    except Ended as error:
        log.warning("working head %s could not be scored: %s", pk, error)
        _count_as_scored(pk)
        return None
    finally:
        _turn.release()


def _count_as_scored(pk: int) -> None:
    """The next head is not kept waiting by a score that cannot be had."""
    row = WorkingHead.objects.select_related("project").get(pk=pk)
    WorkingHead.objects.filter(pk=pk, state=State.SCORED).update(scored_up_to=newest_review(row.project))


def _score_in(row: WorkingHead, folder: Path, should_stop: Stop) -> WorkingHead | None:
    against = gather.suggesting(row.project)
    if against is None or against.digest != row.score.get("against"):
        return None  # the next look retires it
    until = newest_review(row.project)
    images = gather.reviewed(row.project)
    new = gather.not_seen(images, row.up_to)
    task = {"chain": _chain(row), "merges": gather.merges_of(row.project)}
    _write(folder, row, new, gather.to_score(new, gather.groups_of(images), against), task)
    shutil.copyfile(Path(settings.STORE_DIR) / row.head_key, folder / "head.npz")
    if not run(folder, "score", should_stop):
        return None
    values = json.loads((folder / "score.json").read_text(encoding="utf-8"))
    kept = {**values, **held_against(row.project, against)}
    changed: dict[str, Any] = {"score": kept, "scored_up_to": until}
    if parse_score(values).is_better:
        changed |= {"state": State.OFFERED, "offered_at": timezone.now()}
    WorkingHead.objects.filter(pk=row.pk, state=State.SCORED).update(**changed)
    row.refresh_from_db()
    return row


def held_against(project: Project, against: Pipeline) -> dict[str, Any]:
    """What suggests now, and whether that is a head itself."""
    is_head = active_pipeline_id(project.pk, Activation.Slot.SUGGEST) == against.pk
    return {"against": against.digest, "suggested": gather.version_of(against).name, "by_head": is_head}


def _chain(row: WorkingHead) -> list[Any]:
    """The groups that the heads before it were scored on, since somebody last decided on one."""
    earlier = WorkingHead.objects.filter(project=row.project, pk__lt=row.pk).order_by("-pk")
    found: list[list[Any]] = []
    for one in earlier.exclude(state=State.FAILED):
        same = one.score.get("against") == row.score.get("against") and one.space_id == row.space_id
        if one.state != State.REPLACED or not same:
            break
        found.insert(0, one.score.get("own", []))
    return [group for groups in found for group in groups]


def _write(
    folder: Path, row: WorkingHead, images: Sequence[Reviewed], verdicts: Iterator[Any], task: dict[str, Any]
) -> None:
    """Everything that the process reads."""
    write_verdicts(folder / "verdicts.jsonl", verdicts)
    write_vectors(((one.image_id, one.sha256) for one in images), space_of(row.space), folder / "embeddings.npz")
    (folder / "task.json").write_text(json.dumps(task, ensure_ascii=False), encoding="utf-8")


def publishing_task(row: WorkingHead, name: str) -> dict[str, Any]:
    labels = Label.objects.filter(project=row.project)
    return {
        "name": name,
        "start": str(folder_of_version(row.space)),
        "labels": [
            {"key": one.key, "name": one.name, "kind": one.kind, "scientific_name": one.scientific_name}
            for one in labels
        ],
    }


def _keep(row: WorkingHead, folder: Path) -> str:
    """The head goes to the store, where a worker of any machine finds it."""
    key = f"{KEPT}/{row.uid}.npz"
    target = Path(settings.STORE_DIR) / key
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = target.with_name(f".{target.name}")
    shutil.copyfile(folder / "head.npz", beside)
    beside.replace(target)
    return key


@contextmanager
def workshop(row: WorkingHead) -> Iterator[Path]:
    """A folder of this machine that is gone afterwards."""
    folder = Path(settings.DATA_DIR) / "cache" / FOLDER / str(row.uid)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        yield folder
    finally:
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, act: str, should_stop: Stop) -> bool:
    """Whether it was done; False when this worker stops. Ended says what was wrong."""
    with training(folder, [*COMMAND, act, str(folder)]) as process:
        status = _wait(process, should_stop)
    if status is None:
        return False
    if status:
        said = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise Ended(status, said[-1][:1000] if said else f"It ended with status {status}.")
    return True


def _wait(process: Training, should_stop: Stop) -> int | None:
    until = time.monotonic() + MOST_SECONDS
    while (status := process.poll()) is None:
        if should_stop() or time.monotonic() > until:
            process.stop()
            return None
        time.sleep(LOOK_SECONDS)
    return status
