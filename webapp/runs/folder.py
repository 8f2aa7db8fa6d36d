"""The folder of a run on this machine: everything its process reads and writes; a worker's own, never the web's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

from training.contract import TEST, as_values, parse_config
from webapp.datasets import manifest
from webapp.images.models import File
from webapp.images.store import ENDINGS
from webapp.runs.models import Run
from webapp.versions.fetch import folder_of as folder_of_version

FOLDER = "runs"
CONFIG, MANIFEST, PICTURES, EMBEDDINGS = "config.yaml", "manifest.jsonl.gz", "pictures.json", "embeddings.npz"
PROGRESS, ENDED, MODEL = "progress.jsonl", "ended.json", "model"
CHECKPOINT, CACHE, VARIANTS = "checkpoint", "cache", "variants"
OF_USE_WHILE_IT_LEARNS = (CHECKPOINT, CACHE, MODEL, VARIANTS, EMBEDDINGS, ".model-making", "first-stage", "sweep")


def folder_of(run: Run) -> Path:
    return Path(settings.DATA_DIR) / FOLDER / str(run.uid)


def outcomes_name(part: str) -> str:
    return f"outcomes-{part}.jsonl.gz"


def report_name(part: str) -> str:
    return "report.json" if part == TEST else f"report-{part}.json"


def write_folder(run: Run, folder: Path | None = None) -> Path:
    """Everything the process reads; done again whenever the run is taken up, since the store may have changed."""
    folder = folder or folder_of(run)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    link(manifest.path_of(run.snapshot), folder / MANIFEST)
    _write(folder / CONFIG, yaml.safe_dump(_resolved(run), sort_keys=False, allow_unicode=True))
    _write(folder / PICTURES, json.dumps(pictures_of(run.project_id)))
    from webapp.runs.stored_vectors import write_embeddings  # numpy, which the web process does without

    if run.start_version is not None and not (folder / EMBEDDINGS).exists():
        write_embeddings(run.snapshot, run.start_version, folder / EMBEDDINGS)
    (folder / ENDED).unlink(missing_ok=True)
    return folder


def clear(run: Run) -> None:
    """Give back the space of a run that is over for good: what it said and reported stays."""
    folder = folder_of(run)
    for name in OF_USE_WHILE_IT_LEARNS:
        path = folder / name
        if path.is_dir():
            _remove_folder(path)
        else:
            path.unlink(missing_ok=True)


def _remove_folder(path: Path) -> None:
    """A published folder is sealed: its own rights would forbid to remove what is in it."""
    for inside in (path, *path.rglob("*")):
        if inside.is_dir():
            inside.chmod(0o700)
    shutil.rmtree(path)


def _resolved(run: Run) -> dict[str, Any]:
    """Every setting, with the model folder that it starts from on this machine."""
    asked: dict[str, Any] = {"recipe": run.recipe, "seed": run.seed, **run.config}
    if run.start_version is not None:
        asked |= {"start": "version", "start_from": str(folder_of_version(run.start_version))}
    return as_values(parse_config(asked, origin="the run"))


def pictures_of(project_id: int) -> Mapping[str, Any]:
    """Pictures lie in the store under their digest; those that were imported in place lie where they were."""
    elsewhere = File.objects.filter(images__project=project_id).exclude(in_place_path="")
    files = dict(elsewhere.values_list("sha256", "in_place_path").iterator())
    return {"root": str(settings.STORE_DIR), "ending": dict(ENDINGS), "files": files}


def link(source: Path, target: Path) -> None:
    """A second name of the same bytes where the file system can, else a copy."""
    beside = target.with_name(f".{target.name}.part")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:
        shutil.copyfile(source, beside)
    beside.replace(target)
    beside.unlink(missing_ok=True)  # two names of one file are not renamed over each other: it stays


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
