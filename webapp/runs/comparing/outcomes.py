"""Reports and per-image outcomes: from the folder where they were made to the row and the store."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from django.conf import settings

from training.contract import ReportError, read_report, report_values
from webapp.datasets.models import Snapshot
from webapp.errors import Invalid
from webapp.runs import folder as folders
from webapp.versions.models import Version

OUTCOMES = "outcomes"


def read_report_values(folder: Path, part: str) -> dict[str, Any]:
    """The report on one part; nothing where there is none."""
    path = folder / folders.report_name(part)
    if not path.exists():
        return {}
    try:
        report = report_values(read_report(path))
    except ReportError as error:
        raise Invalid(str(error), code="report-unreadable") from error
    # What is no number has no word in JSON, and PostgreSQL takes none of it.
    cleaned: dict[str, Any] = json.loads(json.dumps(report), parse_constant=lambda word: None)
    return cleaned


def keep_outcomes(version: Version, snapshot: Snapshot, folder: Path, part: str) -> str:
    """Per-image outcomes go to the store, where comparisons of any machine find them; returns their key."""
    source = folder / folders.outcomes_name(part)
    return keep(source, f"{OUTCOMES}/{version.digest}-{snapshot.digest}-{part}.jsonl.gz") if source.exists() else ""


def keep(source: Path, key: str) -> str:
    """A copy of a file in the store under its key: there whole, or not at all."""
    target = path_in_store(key)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, beside)
    beside.replace(target)
    return key


def path_in_store(key: str) -> Path:
    return Path(settings.STORE_DIR) / key
