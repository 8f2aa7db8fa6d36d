"""From the progress file of a run to its rows: each line once, also when another worker goes on with the run."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db.models import Max

from training.contract import Progress, follow, plain
from webapp.runs.folder import PROGRESS
from webapp.runs.models import Run, RunEvent
from webapp.runs.process import LOG

LOG_BYTES = 16_384
OFTEN = ("step", "work")
SPARSE = 600
"""Of what is said often, one line a second at first; later so many for each time that the run has doubled."""


class Follower:
    """What one run says, from where its rows end."""

    def __init__(self, run: Run, folder: Path) -> None:
        self._run, self._file, self._log = run, folder / PROGRESS, folder / LOG
        self._after: int = RunEvent.objects.filter(run=run).aggregate(last=Max("number"))["last"] or 0
        first = RunEvent.objects.filter(run=run).order_by("number").first()
        self._began = first.at.timestamp() if first else 0.0
        self._kept = 0.0
        self.progress: dict[str, Any] = dict(run.progress)
        self.has_advanced = False

    def read(self) -> bool:
        """Store what is new; whether anything was."""
        fresh: list[RunEvent] = []
        before = self._after
        for end, said in follow(self._file, after=self._after):
            self._after = end
            self._note(said)
            if self._is_kept(said):
                fresh.append(
                    RunEvent(
                        run=self._run,
                        number=end,
                        at=datetime.fromtimestamp(said.at, tz=UTC),
                        kind=said.kind,
                        detail=_detail(said),
                    )
                )
        RunEvent.objects.bulk_create(fresh, batch_size=500, ignore_conflicts=True)
        return self._after != before

    def log_tail(self) -> str:
        """The last lines that the process wrote, as text that every database takes."""
        if not self._log.exists():
            return ""
        with self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - LOG_BYTES))
            text = file.read().decode("utf-8", "replace").replace("\0", "")
        return text if len(text) < LOG_BYTES else text.partition("\n")[2]

    def _note(self, said: Progress) -> None:
        """The newest of each thing; a new stage begins without the numbers of the one before.

        Trials of a sweep say no more of a stage than its name, with each step.
        """
        if said.kind == "stage" or (said.stage and said.stage != self.progress.get("stage")):
            self.progress = {"device": self.progress["device"]} if "device" in self.progress else {}
        values = {name: value for name, value in _detail(said).items() if name != "text"}
        if said.kind == "stage":
            values["words"] = said.text
        self.progress |= values
        self.has_advanced = self.has_advanced or said.kind == "epoch"

    def _is_kept(self, said: Progress) -> bool:
        self._began = self._began or said.at
        if said.kind not in OFTEN:
            return True
        if said.at - self._kept < max(1.0, (said.at - self._began) / SPARSE):
            return False
        self._kept = said.at
        return True


def _detail(said: Progress) -> dict[str, Any]:
    """What is not at its default; numbers that JSON has no word for are left out."""
    names = plain(said).keys() - {"kind", "at"}
    values = {name: getattr(said, name) for name in sorted(names)}
    return {name: value for name, value in values.items() if not isinstance(value, float) or math.isfinite(value)}
