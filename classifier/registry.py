"""What the command line needs to know of a site without its database: which model folders are active for a project."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from classifier.errors import ModelError
from classifier.strict_json import FieldError, from_json, to_json
from classifier.types import PipelineSpec

DATA_VARIABLE = "OSPREY_DATA"
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Active:
    """The active pipeline of a project; folders are relative to the data folder."""

    pipeline: str
    project: str
    detector: str | None = None
    classifier: str | None = None
    identifier: str | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    crop_margin: float = 0.0
    whole_image_when_nothing_found: bool = True

    def spec(self, data: Path) -> PipelineSpec:
        """The same as the engine takes it, with folders found under the data folder."""
        detector, classifier, identifier = (
            data / folder if folder else None for folder in (self.detector, self.classifier, self.identifier)
        )
        return PipelineSpec(
            digest=self.pipeline,
            detector=detector,
            classifier=classifier,
            identifier=identifier,
            thresholds=dict(self.thresholds),
            crop_margin=self.crop_margin,
            whole_image_when_nothing_found=self.whole_image_when_nothing_found,
        )


def data_folder() -> Path:
    """The data folder named by OSPREY_DATA."""
    value = os.environ.get(DATA_VARIABLE, "")
    if not value:
        raise ModelError(
            f"{DATA_VARIABLE} is not set, so there is no data folder to look for the active version in. "
            f"Set it, run `./osprey classify`, which does, or name a model folder with --model DIR."
        )
    return Path(value)


def compiled_models(data: Path) -> Path:
    """Where back ends may keep compiled forms of versions; it can be deleted at any time."""
    return data / "cache" / "compiled"


def active_path(data: Path, project: str) -> Path:
    """Where the active pipeline of a project is written."""
    if not _SLUG.fullmatch(project):
        raise ModelError(f"{project!r} is not a project's slug (lower-case letters, digits, hyphens)")
    return data / "active" / f"{project}.json"


def write_active(data: Path, active: Active) -> Path:
    """Replace the file of a project in one step, so that a reader sees the old one or the new one."""
    path = active_path(data, active.project)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_json(active), indent=1, sort_keys=True) + "\n"
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".active-", encoding="utf-8", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
    return path


def read_active(data: Path, project: str) -> Active:
    """The active pipeline of a project, or ModelError that names the projects there are."""
    path = active_path(data, project)
    try:
        return from_json(Active, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        there = sorted(other.stem for other in path.parent.glob("*.json"))
        known = f"Projects with one: {', '.join(there)}." if there else "No project has one yet: run `./osprey up`."
        raise ModelError(f"the project {project!r} has no active version in {data}. {known}") from error
    except (ValueError, FieldError) as error:
        raise ModelError(f"{path} is damaged ({error}). Activate a version of {project!r} again.") from error
